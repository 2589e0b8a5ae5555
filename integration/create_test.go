package integration

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCreateBucket mounts what is not there yet.
func TestCreateBucket(t *testing.T) {
	onTargets(t, func(t *testing.T, p *place) {
		u, err := url.Parse(p.source)
		check(t, err)
		switch p.kind {
		case "file":
			p.root = filepath.Join(p.root, "not/there/yet")
			u.Path = p.root
		case "gcs":
			u.RawQuery += "&project=p"
			fallthrough
		default:
			u.Host = "made-" + strings.TrimPrefix(u.Host, "test-")
		}
		if p.kind == "s3" {
			p.bucket = &s3Bucket{endpoint: p.bucket.endpoint, name: u.Host}
		}
		p.source = u.String()
		if out, err := p.prepare(t).start(); err == nil || !strings.Contains(out, "--create-bucket") {
			t.Fatalf("%v: %s", err, out)
		}
		m := p.mount(t, "--create-bucket")
		check(t, os.WriteFile(filepath.Join(m.dir, "f"), []byte("text"), 0o644))
		m.umount(t)
		p.holds(t, "f", []byte("text"), "after umount")
	}, everyMount...)
}
