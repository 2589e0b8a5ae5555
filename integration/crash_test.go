package integration

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestP6CrashSafe: kill -9 of pailfs in the middle of a write leaves the old
// object whole and no half object, loses nothing that was acknowledged, and the
// next mount finds what was left behind.
func TestP6CrashSafe(t *testing.T) {
	onTargets(t, func(t *testing.T, p *place) {
		m := p.mount(t)
		old, synced := noise(1, partSize+100), noise(2, 2*partSize)
		check(t, os.WriteFile(filepath.Join(m.dir, "old"), old, 0o644))

		open := func(name string) *os.File {
			f, err := os.OpenFile(filepath.Join(m.dir, name), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
			check(t, err)
			t.Cleanup(func() { f.Close() })
			return f
		}
		over, fresh, committed := open("old"), open("new"), open("synced")
		for _, f := range []*os.File{over, fresh} {
			_, err := io.WriteString(f, string(noise(3, 4*partSize)))
			check(t, err)
		}
		_, err := committed.Write(synced)
		check(t, err)
		check(t, committed.Sync())
		_, err = committed.Write(noise(4, 3*partSize))
		check(t, err)

		m.kill()
		if err := over.Close(); err == nil {
			t.Error("close returned 0 after the server was killed")
		}
		look := func(when string) {
			t.Helper()
			p.holds(t, "old", old, when)
			p.holds(t, "synced", synced, when)
			if got, ok := p.object(t, "new"); ok && len(got) != 0 {
				t.Errorf("%s: half an object: %d bytes", when, len(got))
			}
		}
		look("after kill -9")

		again := p.mount(t)
		got, err := os.ReadFile(filepath.Join(again.dir, "old"))
		check(t, err)
		if string(got) != string(old) {
			t.Errorf("through a new mount: %s", differ(old, got))
		}
		// The next mount removes what is left, in the background.
		for limit := time.After(time.Minute); len(p.uploads(t)) > 0; {
			select {
			case <-limit:
				t.Errorf("a minute after the next mount these are left: %v", p.uploads(t))
			case <-time.After(100 * time.Millisecond):
				continue
			}
			break
		}
		again.umount(t)
		look("after the next mount")
		p.leftovers(t)
	}, everyMount...)
}

// TestP6StaleMountPoint: after kill -9 the mount point can be used again
// without anybody unmounting it.
func TestP6StaleMountPoint(t *testing.T) {
	onTargets(t, func(t *testing.T, p *place) {
		m := p.mount(t)
		check(t, os.WriteFile(filepath.Join(m.dir, "f"), []byte("x"), 0o644))
		check(t, unix.Kill(m.pid, unix.SIGKILL))
		_, err := m.wait(commandLimit)
		check(t, err)
		if _, err := os.Stat(m.dir); !errors.Is(err, unix.ENOTCONN) {
			t.Fatalf("stat of the dead mount: %v", err)
		}
		if out, err := m.start(); err != nil {
			t.Fatalf("mount again: %v\n%s", err, out)
		}
		got, err := os.ReadFile(filepath.Join(m.dir, "f"))
		check(t, err)
		if string(got) != "x" {
			t.Errorf("got %q", got)
		}
		m.umount(t)
	}, mountTargets...)
}
