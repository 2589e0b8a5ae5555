package integration

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pailfs/pailfs/objstore"
)

// TestVerify: pailfs verify reads objects of a mount and of other programs, by URL
// and through a mount, and finds what does not fit a list.
func TestVerify(t *testing.T) {
	onTargets(t, func(t *testing.T, p *place) {
		m := p.mount(t, "--attr-ttl=0")
		want := ""
		for key, b := range map[string][]byte{"dir/large": noise(1, 2*partSize+5), "dir/small": noise(2, 1000)} {
			check(t, os.MkdirAll(filepath.Join(m.dir, "dir"), 0o755))
			check(t, os.WriteFile(filepath.Join(m.dir, key), b, 0o644))
			want += fmt.Sprintf("%x  %s\n", sha256.Sum256(b), strings.TrimPrefix(key, "dir/"))
		}
		theirs := noise(3, 5000)
		_, err := p.store(t).Put(t.Context(), "dir/theirs", section(theirs), objstore.PutOptions{})
		check(t, err)
		want += fmt.Sprintf("%x  theirs\n", sha256.Sum256(theirs))
		base, query, _ := strings.Cut(p.source, "?")
		url := base + "/dir/"
		if query != "" {
			url += "?" + query
		}
		list := filepath.Join(tempDir(t), "list")
		check(t, os.WriteFile(list, []byte(want), 0o644))
		for _, at := range []string{url, filepath.Join(m.dir, "dir")} {
			out, err := p.pailfs("verify", "--deep", "--check", list, at)
			if err != nil || strings.Count(out, "\n") != 3 {
				t.Errorf("%s: %v\n%s", at, err, out)
			}
			for line := range strings.Lines(want) {
				if !strings.Contains(out, line) {
					t.Errorf("%s: no line %q in\n%s", at, line, out)
				}
			}
		}
		_, err = p.store(t).Put(t.Context(), "dir/theirs", section(noise(4, 5000)), objstore.PutOptions{})
		check(t, err)
		if out, err := p.pailfs("verify", "--deep", "--check", list, url); err == nil || !strings.Contains(out, "theirs: SHA-256 is") {
			t.Errorf("a changed object: %v\n%s", err, out)
		}
		m.umount(t)
		p.leftovers(t)
	}, mountTargets...)
}
