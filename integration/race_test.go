package integration

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestP3NothingIsSilentlyOverwritten: of two mounts that change one file at
// once exactly one wins. The other gets ESTALE, and its bytes are kept.
func TestP3NothingIsSilentlyOverwritten(t *testing.T) {
	flags := map[string]int{
		"replace": os.O_WRONLY | os.O_TRUNC,
		"append":  os.O_WRONLY | os.O_APPEND,
		"create":  os.O_WRONLY | os.O_CREATE,
	}
	for how, flag := range flags {
		for size, n := range map[string]int{"one part": 1000, "many parts": 2*partSize + 1000} {
			t.Run(how+"/"+size, func(t *testing.T) {
				onTargets(t, func(t *testing.T, p *place) { raceOnKey(t, p, flag, n) }, everyMount...)
			})
		}
	}
}

func raceOnKey(t *testing.T, p *place, flag, n int) {
	mounts := []*mounted{p.mount(t), p.mount(t)}
	var old []byte
	if flag&os.O_CREATE == 0 {
		old = noise(9, 5000)
		check(t, os.WriteFile(filepath.Join(mounts[0].dir, "f"), old, 0o644))
	}
	content, files := make([][]byte, 2), make([]*os.File, 2)
	for i, m := range mounts {
		f, err := os.OpenFile(filepath.Join(m.dir, "f"), flag, 0o644)
		check(t, err)
		defer f.Close()
		fresh := noise(uint64(i), n)
		_, err = f.Write(fresh)
		check(t, err)
		files[i], content[i] = f, fresh
		if flag&os.O_APPEND != 0 {
			content[i] = append(bytes.Clone(old), fresh...)
		}
	}
	ended := make([]chan error, 2)
	for i, f := range files {
		ended[i] = make(chan error, 1)
		go func() { ended[i] <- f.Close() }()
	}
	errs := []error{<-ended[0], <-ended[1]}
	winner := 0
	if errs[0] != nil {
		winner = 1
	}
	if errs[winner] != nil || !errors.Is(errs[1-winner], unix.ESTALE) {
		t.Fatalf("one close must return 0 and one ESTALE, not %v and %v", errs[0], errs[1])
	}
	p.holds(t, "f", content[winner], "after the race")

	kept := false
	for _, o := range p.objects(t) {
		if o.Key == "f" {
			continue
		}
		// Of an append what was written is kept, by whole pages, if the old
		// object went before the loser had read it.
		got, _ := p.object(t, o.Key)
		kept = kept || len(got) >= n && bytes.HasSuffix(content[1-winner], got)
	}
	if !kept {
		t.Error("what the loser wrote is kept nowhere in the bucket")
	}
	s := shell{dir: p.mount(t).dir, env: environ(tempDir(t))}
	p.audit(t, s.tree(t))
	for _, m := range mounts {
		// The loser was told by close; umount may tell again, but must end.
		if err := m.unmount(); err != nil {
			t.Logf("umount: %v", err)
			m.kill()
		}
	}
}
