package s3store

import (
	"encoding/base64"
	"mime"
	"strings"
	"unicode"
)

// S3 keeps metadata as HTTP headers: printable ASCII. Other values travel as
// RFC 2047 encoded words, which is also how S3 itself returns them (userguide,
// UsingMetadata.html, "User-defined object metadata").

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
	plain := strings.TrimSpace(v) == v && !strings.Contains(v, "=?")
	for i := 0; i < len(v) && plain; i++ {
		plain = v[i] >= ' ' && v[i] <= unicode.MaxASCII && v[i] != 0x7f
	}
	if plain {
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
	if !strings.Contains(v, "=?") {
		return v
	}
	if rest, ok := strings.CutPrefix(v, word); ok {
		if b, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(rest, "?=")); err == nil {
			return string(b) // ours: bytes that need not be UTF-8
		}
	}
	if d, err := new(mime.WordDecoder).DecodeHeader(v); err == nil {
		return d
	}
	return v
}
