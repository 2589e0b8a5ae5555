package gcsstore

import (
	"encoding/base64"
	"maps"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The service keeps metadata as Unicode text. Values that would not survive
// JSON or the headers of a download travel as RFC 2047 encoded words.

const word = "=?UTF-8?B?"

func encodeMetadata(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[k] = encodeValue(v)
	}
	return out
}

func encodeValue(v string) string {
	if utf8.ValidString(v) && strings.TrimSpace(v) == v && !strings.HasPrefix(v, "=?") &&
		strings.IndexFunc(v, unicode.IsControl) < 0 {
		return v
	}
	return word + base64.StdEncoding.EncodeToString([]byte(v)) + "?="
}

// decodeMetadata returns no nil map: the metadata is known, if empty.
func decodeMetadata(m map[string]string) map[string]string {
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[strings.ToLower(k)] = decodeValue(v)
	}
	return out
}

func decodeValue(v string) string {
	if rest, ok := strings.CutPrefix(v, word); ok {
		if b, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(rest, "?=")); err == nil {
			return string(b)
		}
	}
	return v
}

func knownMetadata(m map[string]string) map[string]string {
	out := make(map[string]string, len(m))
	maps.Copy(out, m)
	return out
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
