package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCommandsOnAStore: ls, du, cp and rm do on a server what they do on files,
// and leave nothing of their own.
func TestCommandsOnAStore(t *testing.T) {
	onTargets(t, func(t *testing.T, p *place) {
		do := func(args ...string) string {
			t.Helper()
			out, err := p.pailfs(args...)
			if err != nil {
				t.Fatalf("pailfs %v: %v\n%s", args, err, out)
			}
			return out
		}
		base, query, _ := strings.Cut(p.source, "?")
		at := func(key string) string {
			if query != "" {
				key += "?" + query
			}
			return base + "/" + key
		}
		local := tempDir(t)
		big := noise(1, 2*partSize+17<<20)
		check(t, os.WriteFile(filepath.Join(local, "big"), big, 0o644))
		check(t, os.MkdirAll(filepath.Join(local, "d", "e"), 0o755))
		check(t, os.WriteFile(filepath.Join(local, "d", "e", "small"), []byte("x"), 0o644))

		do("cp", filepath.Join(local, "big"), at("")) // makes a directory a store
		do("cp", "-r", local+"/", at("up/"))
		p.holds(t, "up/big", big, "after cp")
		do("cp", "-r", at("up/"), at("copy/"))
		p.holds(t, "copy/big", big, "after cp inside the store")
		if out := do("cp", "-ru", local+"/", at("copy/")); !strings.HasPrefix(out, "0 copied, 2 there already") {
			t.Errorf("cp --update: %q", out)
		}
		down := tempDir(t)
		do("cp", "-r", at("copy"), down+"/")
		if got, err := os.ReadFile(filepath.Join(down, "copy", "big")); err != nil || differs(got, big) {
			t.Errorf("copied back: %v, %s", err, differ(big, got))
		}
		if out := do("ls", at("copy/")); !strings.Contains(out, "big\n") || !strings.Contains(out, "d/\n") {
			t.Errorf("ls: %q", out)
		}
		if out := do("du", "-sb", at("copy/")); !strings.Contains(out, " 2 objects") {
			t.Errorf("du: %q", out)
		}
		do("rm", "-r", at("copy"))
		if out, err := p.pailfs("ls", at("copy")); err == nil {
			t.Errorf("after rm there is still %q", out)
		}
		p.leftovers(t)
	}, mountTargets...)
}

func differs(a, b []byte) bool { return string(a) != string(b) }
