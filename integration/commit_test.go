package integration

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// check fails the test at an error.
func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestP1CloseIsCommit: when close or fsync returns, the object is in the bucket
// with the bytes written so far, and later writes go on.
func TestP1CloseIsCommit(t *testing.T) {
	onTargets(t, func(t *testing.T, p *place) {
		m := p.mount(t)
		for _, size := range []int{0, 1, 4096, partSize - 1, partSize, partSize + 1, 3*partSize + 17} {
			want := noise(uint64(size), size)
			check(t, os.WriteFile(filepath.Join(m.dir, "whole"), want, 0o644))
			p.holds(t, "whole", want, "after close")
		}
		a, b, c := noise(1, 2*partSize+100), noise(2, partSize+1), noise(3, 1000)
		f, err := os.Create(filepath.Join(m.dir, "f"))
		check(t, err)
		defer f.Close()
		write := func(data []byte) {
			t.Helper()
			_, err := f.Write(data)
			check(t, err)
		}
		write(a)
		check(t, f.Sync())
		p.holds(t, "f", a, "after fsync")
		write(b)
		// A child that shares the descriptor and ends, as those of a shell do.
		child := exec.Command("/bin/sh", "-c", "printf child >&3")
		child.ExtraFiles = []*os.File{f}
		check(t, child.Run())
		ab := append(bytes.Clone(a), b...)
		ab = append(ab, "child"...)
		p.holds(t, "f", ab, "after a child's exit")
		write(c)
		check(t, unix.Fdatasync(int(f.Fd())))
		p.holds(t, "f", append(bytes.Clone(ab), c...), "after fdatasync")
		_, err = f.WriteAt([]byte("head"), 0)
		check(t, err)
		check(t, f.Close())
		want := append(append([]byte("head"), ab[4:]...), c...)
		p.holds(t, "f", want, "after the last close")
		m.umount(t)
		p.leftovers(t)
	}, everyMount...)
}
