package s3store

import (
	"mime"
	"strings"
	"unicode"

	"github.com/pailfs/pailfs/objstore/internal/wire"
)

// S3 keeps metadata as HTTP headers: printable ASCII. Other values travel as
// RFC 2047 encoded words, which is also how S3 itself returns them (userguide,
// UsingMetadata.html, "User-defined object metadata").

func encodeMetadata(m map[string]string) map[string]string { return wire.Encode(m, encodeValue) }

func encodeValue(v string) string {
	plain := strings.TrimSpace(v) == v && !strings.Contains(v, "=?")
	for i := 0; i < len(v) && plain; i++ {
		plain = v[i] >= ' ' && v[i] <= unicode.MaxASCII && v[i] != 0x7f
	}
	if plain {
		return v
	}
	return wire.Word(v)
}

func decodeMetadata(m map[string]string) map[string]string { return wire.Decode(m, decodeValue) }

func decodeValue(v string) string {
	if !strings.Contains(v, "=?") {
		return v
	}
	if value, ok := wire.Unword(v); ok {
		return value // ours: bytes that need not be UTF-8
	}
	if d, err := new(mime.WordDecoder).DecodeHeader(v); err == nil {
		return d
	}
	return v
}
