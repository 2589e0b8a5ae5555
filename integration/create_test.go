package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCreateBucket mounts what is not there yet.
func TestCreateBucket(t *testing.T) {
	onTargets(t, func(t *testing.T, p *place) {
		missing := p.source + "/not/there/yet"
		if p.kind != "file" {
			name := strings.ReplaceAll(p.bucket.name, "test-", "made-")
			missing = strings.Replace(p.source, p.bucket.name, name, 1)
			p.bucket = &s3Bucket{endpoint: p.bucket.endpoint, name: name}
		} else {
			p.root = filepath.Join(p.root, "not/there/yet")
		}
		p.source = missing
		if out, err := p.prepare(t).start(); err == nil || !strings.Contains(out, "--create-bucket") {
			t.Fatalf("%v: %s", err, out)
		}
		m := p.mount(t, "--create-bucket")
		check(t, os.WriteFile(filepath.Join(m.dir, "f"), []byte("text"), 0o644))
		m.umount(t)
		p.holds(t, "f", []byte("text"), "after umount")
	}, mountTargets...)
}
