package wire

import (
	"encoding/base64"
	"maps"
	"strings"
)

// word begins the encoded word of RFC 2047 in which a value travels that a
// header cannot carry as it is.
const word = "=?UTF-8?B?"

// Word makes an encoded word of a value, which may be any bytes.
func Word(v string) string {
	return word + base64.StdEncoding.EncodeToString([]byte(v)) + "?="
}

// Unword is the value of an encoded word as Word makes it, and whether it is one.
func Unword(v string) (string, bool) {
	rest, ok := strings.CutPrefix(v, word)
	if !ok {
		return "", false
	}
	b, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(rest, "?="))
	return string(b), err == nil
}

// Encode returns metadata with each value encoded; nil for none.
func Encode(m map[string]string, value func(string) string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[k] = value(v)
	}
	return out
}

// Decode is the reverse of Encode, with keys in lower case. It returns no nil
// map: the metadata is known, if empty.
func Decode(m map[string]string, value func(string) string) map[string]string {
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[strings.ToLower(k)] = value(v)
	}
	return out
}

// Known is a copy of metadata that is no nil map.
func Known(m map[string]string) map[string]string {
	out := make(map[string]string, len(m))
	maps.Copy(out, m)
	return out
}
