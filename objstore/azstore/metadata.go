package azstore

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"unicode"

	"github.com/pailfs/pailfs/objstore/internal/wire"
)

// The service keeps metadata as HTTP headers, whose values are printable ASCII,
// and whose names are identifiers of C#: letters, digits and "_", no digit
// first ("Naming and referencing containers, blobs, and metadata"). Other values
// travel as RFC 2047 encoded words, an empty one too. In other names each
// character that does not fit becomes "_xHHHH_", as .NET's XmlConvert.EncodeName
// does it.

func encodeMetadata(m map[string]string) map[string]*string {
	if len(m) == 0 {
		return nil
	}
	out := make(map[string]*string, len(m))
	for k, v := range wire.Encode(m, encodeValue) {
		out[encodeName(k)] = &v
	}
	return out
}

// decodeMetadata returns no nil map: the metadata is known, if empty.
func decodeMetadata(m map[string]*string) map[string]string {
	out := make(map[string]string, len(m))
	for k, v := range m {
		if v == nil {
			v = new(string)
		}
		out[decodeName(strings.ToLower(k))] = decodeValue(*v)
	}
	return out
}

// sameMetadata says whether a blob carries what was asked for.
func sameMetadata(has, asked map[string]string) bool {
	return maps.Equal(has, wire.Known(asked))
}

func encodeValue(v string) string {
	plain := v != "" && strings.TrimSpace(v) == v && !strings.HasPrefix(v, "=?")
	for i := 0; i < len(v) && plain; i++ {
		plain = v[i] >= ' ' && v[i] <= unicode.MaxASCII && v[i] != 0x7f
	}
	if plain {
		return v
	}
	return wire.Word(v)
}

func decodeValue(v string) string {
	if value, ok := wire.Unword(v); ok {
		return value
	}
	return v
}

func encodeName(name string) string {
	var b strings.Builder
	for i, r := range name {
		switch {
		case r == '_' && escape(name[i:]) > 0: // would be taken for one of ours
			b.WriteString("_x005f_")
		case r == '_', r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9' && i > 0:
			b.WriteRune(r)
		case r > 0xFFFF:
			fmt.Fprintf(&b, "_x%08x_", r)
		default:
			fmt.Fprintf(&b, "_x%04x_", r)
		}
	}
	return b.String()
}

func decodeName(name string) string {
	var b strings.Builder
	for len(name) > 0 {
		n := escape(name)
		if n == 0 {
			b.WriteByte(name[0])
			name = name[1:]
			continue
		}
		r, _ := strconv.ParseUint(name[2:n-1], 16, 32)
		b.WriteRune(rune(r))
		name = name[n:]
	}
	return b.String()
}

// escape is the length of an escape that s begins with, 0 for none.
func escape(s string) int {
	for _, digits := range []int{4, 8} {
		n := digits + 3
		if len(s) < n || s[:2] != "_x" || s[n-1] != '_' {
			continue
		}
		if strings.Trim(s[2:n-1], "0123456789abcdef") == "" {
			return n
		}
	}
	return 0
}
