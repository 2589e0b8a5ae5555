package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestUmountBusy: with a file open for writing umount says who has it open and
// changes nothing; --lazy saves what was written so far.
func TestUmountBusy(t *testing.T) {
	onTargets(t, func(t *testing.T, p *place) {
		m := p.mount(t)
		want := noise(1, 2*partSize+1)
		f, err := os.Create(filepath.Join(m.dir, "f"))
		check(t, err)
		defer f.Close()
		_, err = f.Write(want)
		check(t, err)
		out, err := p.pailfs("umount", m.dir)
		if err == nil {
			t.Fatal("umount returned 0 with a file open")
		}
		if strings.Count(out, "\n") != 1 || !strings.Contains(out, "busy") {
			t.Errorf("umount said %q, not one line that says busy", out)
		}
		_, err = f.Write(want)
		check(t, err)
		want = append(want, want...)
		if out, err := p.pailfs("umount", "--lazy", m.dir); err != nil {
			t.Errorf("umount --lazy: %v\n%s", err, out)
		}
		p.holds(t, "f", want, "after umount --lazy")
		f.Close()
		if code, err := m.wait(commandLimit); err != nil || code != 0 {
			t.Errorf("the daemon ended with %d, %v", code, err)
		}
		p.leftovers(t)
	}, mountTargets...)
}

// TestUmountWaits: umount right after the last program ended returns when all
// of many files are in the bucket.
func TestUmountWaits(t *testing.T) {
	onTargets(t, func(t *testing.T, p *place) {
		m := p.mount(t)
		s := shell{dir: m.dir, env: environ(tempDir(t))}
		s.run(t, `for i in $(seq 1 8); do cp -a "$SRC" "t$i" & done; wait`)
		m.umount(t)
		s.dir = p.mount(t).dir
		p.audit(t, s.tree(t))
		s.run(t, `for i in $(seq 1 8); do diff -r --no-dereference "$SRC" "t$i"; done`)
	}, mountTargets...)
}

// TestTerminate: SIGTERM and SIGINT save what is open, unmount and end with 0.
func TestTerminate(t *testing.T) {
	for _, sig := range []unix.Signal{unix.SIGTERM, unix.SIGINT} {
		t.Run(unix.SignalName(sig), func(t *testing.T) {
			onTargets(t, func(t *testing.T, p *place) {
				m := p.mount(t)
				want := noise(1, partSize+1)
				check(t, os.WriteFile(filepath.Join(m.dir, "closed"), want, 0o644))
				check(t, unix.Kill(m.pid, sig))
				if code, err := m.wait(commandLimit); err != nil || code != 0 {
					t.Errorf("the daemon ended with %d, %v", code, err)
				}
				if len(mountsBelow(m.dir)) > 0 {
					t.Error("still mounted")
				}
				p.holds(t, "closed", want, "after the signal")
				m.kill()
			}, mountTargets...)
		})
	}
}
