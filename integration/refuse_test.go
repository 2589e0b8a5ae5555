package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pailfs/pailfs/integration/servers"
)

// TestMountRefused: a mount that cannot work says why in one line, ends with a
// non-zero code and leaves nothing mounted and no process.
func TestMountRefused(t *testing.T) {
	good := func(t *testing.T) *place { return newPlace(t, "file") }
	onS3 := func(change func(*place)) func(*testing.T) *place {
		return func(t *testing.T) *place {
			p := newPlace(t, "s3")
			change(p)
			return p
		}
	}
	source := func(url string) func(*testing.T) *place {
		return func(t *testing.T) *place {
			p := newPlace(t, "file")
			p.source = url
			return p
		}
	}
	nothing := func(*testing.T, *mounted) {}
	for _, c := range []struct {
		name  string
		place func(*testing.T) *place
		spoil func(*testing.T, *mounted)
		flags []string
		says  string
	}{
		{"unknown scheme", source("floppy://bucket"), nothing, nil, "floppy"},
		{"no URL", source("bucket"), nothing, nil, "bucket"},
		{"no bucket in URL", source("s3://?region=us-east-1"), nothing, nil, "bucket"},
		{"unknown URL parameter", source("file:///tmp?regoin=x"), nothing, nil, "regoin"},
		{"missing directory", source("file:///nowhere/at/all"), nothing, nil, "/nowhere/at/all"},
		{"unknown option", good, nothing, []string{"-o", "bananas"}, "bananas"},
		{"bad value", good, nothing, []string{"--memory=lots"}, "lots"},
		{"missing mount point", good, func(t *testing.T, m *mounted) { check(t, os.Remove(m.dir)) }, nil, "mnt"},
		{"mount point is a file", good, func(t *testing.T, m *mounted) {
			check(t, os.Remove(m.dir))
			check(t, os.WriteFile(m.dir, nil, 0o644))
		}, nil, "mnt"},
		{"mount point not empty", good, func(t *testing.T, m *mounted) { check(t, os.WriteFile(filepath.Join(m.dir, "x"), nil, 0o644)) }, nil, "empty"},
		{"missing bucket", onS3(func(p *place) { p.source = strings.Replace(p.source, p.bucket.name, "no-such-bucket", 1) }), nothing, nil, "no-such-bucket"},
		{"wrong secret", onS3(func(p *place) { p.env = append(p.env, "AWS_SECRET_ACCESS_KEY=wrong") }), nothing, nil, ""},
		{"unknown access key", onS3(func(p *place) { p.env = append(p.env, "AWS_ACCESS_KEY_ID=unknown") }), nothing, nil, ""},
		{"no credentials", onS3(func(p *place) { p.env = servers.Endpoint{}.Env() }), nothing, nil, "credentials"},
		{"closed port", onS3(func(p *place) { p.source = p.bucket.source("http://127.0.0.1:1") }), nothing, []string{"--connect-timeout=3s"}, "127.0.0.1:1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			slots <- struct{}{}
			defer func() { <-slots }()
			p := c.place(t)
			m := p.prepare(t)
			c.spoil(t, m)
			out, err := m.start(c.flags...)
			if err == nil {
				t.Fatalf("mounted; it said: %s", out)
			}
			t.Logf("%v: %s", err, out)
			if strings.Count(out, "\n") != 1 || !strings.Contains(out, c.says) {
				t.Errorf("said %q, not one line that names %q", out, c.says)
			}
			if left := mountsBelow(m.dir); len(left) > 0 {
				t.Errorf("left mounted: %v", left)
				m.kill()
			}
			if pids := processesNaming(m.dir); len(pids) > 0 {
				t.Errorf("left running: %v", pids)
			}
		})
	}
}
