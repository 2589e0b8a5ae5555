package gcsstore

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/pailfs/pailfs/objstore/internal/wire"
)

// The service keeps metadata as Unicode text. Values that would not survive
// JSON or the headers of a download travel as RFC 2047 encoded words.

func encodeMetadata(m map[string]string) map[string]string { return wire.Encode(m, encodeValue) }

func encodeValue(v string) string {
	if utf8.ValidString(v) && strings.TrimSpace(v) == v && !strings.HasPrefix(v, "=?") &&
		strings.IndexFunc(v, unicode.IsControl) < 0 {
		return v
	}
	return wire.Word(v)
}

func decodeMetadata(m map[string]string) map[string]string { return wire.Decode(m, decodeValue) }

func decodeValue(v string) string {
	if value, ok := wire.Unword(v); ok {
		return value
	}
	return v
}

// ascii says whether headers carry the values for certain as they are.
func ascii(m map[string]string) bool {
	for _, v := range m {
		if strings.IndexFunc(v, func(r rune) bool { return r > unicode.MaxASCII }) >= 0 {
			return false
		}
	}
	return true
}
