package integration

import (
	"context"
	"net/url"
	"slices"
	"sync"
	"testing"

	"github.com/pailfs/pailfs/integration/servers"
	"github.com/pailfs/pailfs/objstore"
)

// place is one fresh bucket, or a plain directory, that a case writes into.
type place struct {
	kind   string   // plain, file, s3, gcs or azure
	source string   // the URL to mount
	env    []string // credentials, for pailfs
	root   string   // where the bytes are, for plain and file
	state  string   // the state directory of the mounts
	wrap   []string // the command that runs pailfs; empty for none
	bucket *s3Bucket
	cloud  func(context.Context) ([]string, error) // all keys there are, also what List hides; for gcs and azure

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
	case "gcs":
		ep := servers.GCS(t)
		name := servers.GCSBucket(t, ep)
		return &place{
			kind: kind, source: "gs://" + name + "?endpoint=" + url.QueryEscape(ep.API()), env: ep.Env(), state: tempDir(t),
			cloud: func(ctx context.Context) ([]string, error) { return servers.GCSObjects(ctx, ep, name) },
		}
	case "azure":
		ep := servers.Azure(t)
		name := servers.AzureContainer(t, ep)
		return &place{
			kind: kind, source: "azure://" + name + "?endpoint=" + url.QueryEscape(ep.Host()), env: ep.Env(), state: tempDir(t),
			cloud: func(ctx context.Context) ([]string, error) { return servers.AzureBlobs(ctx, ep, name) },
		}
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

// allTargets are the kinds that program cases run on, one by one; mountTargets
// need pailfs. On cloudTargets the programs of one test run in one pass.
var (
	allTargets   = []string{"plain", "file", "s3"}
	mountTargets = []string{"file", "s3"}
	cloudTargets = []string{"gcs", "azure"}

	everyMount = append(slices.Clone(mountTargets), cloudTargets...) // for what hangs on the store's ways
)
