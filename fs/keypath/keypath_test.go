package keypath

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestShown(t *testing.T) {
	for _, c := range []struct {
		prefix, name string
		want         bool
	}{
		{"", "a", true},
		{"", "a b\n#?%", true},
		{"", "\xff\xfe", true},
		{"", "", false},
		{"d/", ".", false},
		{"d/", "..", false},
		{"d/", "a\x00b", false},
		{"d/", "a/b", false},
		{"", Private, false},
		{"d/", Private, true},
		{"", strings.Repeat("n", 255), true},
		{"", strings.Repeat("n", 256), false},
	} {
		if got := Shown(c.prefix, c.name); got != c.want {
			t.Errorf("Shown(%q, %q) = %v, want %v", c.prefix, c.name, got, c.want)
		}
	}
}

func TestParentUndoesFileAndDir(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		prefix := rapid.StringMatching(`([a-z .\-]{1,4}/){0,3}`).Draw(t, "prefix")
		name := rapid.StringMatching(`[a-z .\-]{1,5}`).Draw(t, "name")
		for _, key := range []string{File(prefix, name), Dir(prefix, name)} {
			if p, n := Parent(key); p != prefix || n != name {
				t.Fatalf("Parent(%q) = %q, %q, want %q, %q", key, p, n, prefix, name)
			}
		}
	})
}
