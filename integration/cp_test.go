package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
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
		keepsAttributes(t, p, at, do)
		do("rm", "-r", at("copy"))
		if out, err := p.pailfs("ls", at("copy")); err == nil {
			t.Errorf("after rm there is still %q", out)
		}
		p.leftovers(t)
	}, mountTargets...)
}

// keepsAttributes: with --preserve modes and mtimes go into a store, are seen in a
// mount of it, and come back.
func keepsAttributes(t *testing.T, p *place, at func(string) string, do func(...string) string) {
	from, back := tempDir(t), tempDir(t)
	when := time.Unix(1_600_000_000, 123456789)
	mode := map[string]os.FileMode{"small": 0o640, "large": 0o755}
	for name, size := range map[string]int{"small": 1, "large": partSize + 16<<20} {
		path := filepath.Join(from, name)
		check(t, os.WriteFile(path, noise(2, size), 0o600))
		check(t, os.Chmod(path, mode[name]))
		check(t, os.Chtimes(path, when, when))
	}
	do("cp", "-rp", from+"/", at("kept/"))
	do("cp", "-rp", at("kept/"), back+"/")
	if out := do("cp", "-rpu", at("kept/"), back+"/"); !strings.HasPrefix(out, "0 copied, 2 there already") {
		t.Errorf("cp --preserve --update: %q", out)
	}
	m := p.mount(t)
	for name, want := range mode {
		for _, dir := range []string{back, filepath.Join(m.dir, "kept")} {
			fi, err := os.Stat(filepath.Join(dir, name))
			if err != nil || fi.Mode() != want || !fi.ModTime().Equal(when) {
				t.Errorf("%s: %v, %+v", name, err, fi)
			}
		}
	}
	m.umount(t)
	do("rm", "-r", at("kept"))
}

func differs(a, b []byte) bool { return string(a) != string(b) }
