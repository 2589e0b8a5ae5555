package integration

import (
	"sync"
	"testing"

	"github.com/pailfs/pailfs/integration/servers"
	"github.com/pailfs/pailfs/objstore"
)

// place is one fresh bucket, or a plain directory, that a case writes into.
type place struct {
	kind   string   // plain, file or s3
	source string   // the URL to mount
	env    []string // credentials, for pailfs
	root   string   // where the bytes are, for plain and file
	state  string   // the state directory of the mounts
	bucket *s3Bucket

	once    sync.Once
	opened  objstore.Store
	openErr error
}

func newPlace(t testing.TB, kind string) *place {
	t.Helper()
	switch kind {
	case "plain":
		return &place{kind: kind, root: tempDir(t)}
	case "file":
		dir := tempDir(t)
		return &place{kind: kind, root: dir, source: "file://" + dir, state: tempDir(t)}
	case "s3":
		ep := servers.S3(t)
		b := &s3Bucket{endpoint: ep, name: servers.Bucket(t, ep)}
		return &place{kind: kind, bucket: b, source: b.source(ep.URL), env: ep.Env(), state: tempDir(t)}
	default:
		t.Fatalf("no place of kind %q", kind)
		return nil
	}
}

// slots bounds how many cases run at once, on machines with many cores too.
var slots = make(chan struct{}, 3)

// onTargets runs f on each kind of place, in parallel.
func onTargets(t *testing.T, f func(t *testing.T, p *place), kinds ...string) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			slots <- struct{}{}
			defer func() { <-slots }()
			f(t, newPlace(t, kind))
		})
	}
}

// allTargets are the kinds that program cases run on; mountTargets need pailfs.
var (
	allTargets   = []string{"plain", "file", "s3"}
	mountTargets = []string{"file", "s3"}
)
