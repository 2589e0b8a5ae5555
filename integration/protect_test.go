package integration

import (
	"os"
	"path/filepath"
	"testing"
)

// TestP3CreateOnly: of two --create-only mounts that make the same file one
// wins, the server refuses the other, and neither can change or remove it.
func TestP3CreateOnly(t *testing.T) {
	onTargets(t, func(t *testing.T, p *place) {
		first, second := p.mount(t, "-o", "create-only,no-delete"), p.mount(t, "--create-only", "--no-delete")
		open := func(m *mounted, content []byte) *os.File {
			f, err := os.OpenFile(filepath.Join(m.dir, "f"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
			check(t, err)
			_, err = f.Write(content)
			check(t, err)
			return f
		}
		ours, theirs := open(first, noise(1, 2*partSize)), open(second, noise(2, 1000))
		check(t, ours.Close())
		if err := theirs.Close(); err == nil {
			t.Error("the second mount wrote over the object of the first")
		}
		p.holds(t, "f", noise(1, 2*partSize), "after the race")
		for _, m := range []*mounted{first, second} {
			s := shell{dir: m.dir, env: environ(tempDir(t))}
			s.run(t, `cmp f f; errs bash -c '> f'; errs bash -c 'echo x >> f'; errs chmod 600 f; errs rm -f f; errs mv f g
				errs truncate -s 1 f; echo new > g-$$; errs mv g-$$ f`)
		}
		p.holds(t, "f", noise(1, 2*partSize), "after attempts to change it")
		for _, m := range []*mounted{first, second} {
			if err := m.unmount(); err != nil {
				t.Logf("umount: %v", err) // the loser tells again
				m.kill()
			}
		}
	}, mountTargets...)
}
