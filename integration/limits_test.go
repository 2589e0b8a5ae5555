package integration

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMaxFileSize: a file that grows too large fails with EFBIG, and nothing of
// it is published; others are written.
func TestMaxFileSize(t *testing.T) {
	onTargets(t, func(t *testing.T, p *place) {
		for _, writeback := range []string{"true", "false"} {
			m := p.mount(t, "--max-file-size=9M", "--writeback="+writeback)
			fits := noise(1, 9<<20)
			check(t, os.WriteFile(filepath.Join(m.dir, "fits"), fits, 0o644))
			p.holds(t, "fits", fits, "after close")
			if err := os.WriteFile(filepath.Join(m.dir, "large"), noise(2, 12<<20+1), 0o644); !errors.Is(err, unix.EFBIG) {
				t.Errorf("a file that is too large, writeback=%s: %v", writeback, err)
			}
			if _, ok := p.object(t, "large"); ok {
				t.Error("it was published")
			}
			m.unmount() // may tell of the file that was not saved
			m.kill()
		}
		p.leftovers(t)
	}, mountTargets...)
}

// TestBandwidth: a file takes as long as its size and the limit say.
func TestBandwidth(t *testing.T) {
	onTargets(t, func(t *testing.T, p *place) {
		m := p.mount(t, "--upload-limit=00:00=4M/12:00=4M", "--request-limit=100")
		content := noise(1, 12<<20)
		begun := time.Now()
		check(t, os.WriteFile(filepath.Join(m.dir, "f"), content, 0o644))
		if took := time.Since(begun); took < 2500*time.Millisecond {
			t.Errorf("12 MiB at 4 MiB a second took %s", took)
		}
		p.holds(t, "f", content, "after close")
		m.umount(t)
	}, "s3")
}
