package s3store

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/pailfs/pailfs/integration/servers"
	"github.com/pailfs/pailfs/objstore"
)

// unfinished are the keys of the uploads in the bucket.
func unfinished(t *testing.T, s *Store) map[string]bool {
	t.Helper()
	out, err := servers.S3(t).Client().ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &s.cfg.Bucket})
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]bool{}
	for _, u := range out.Uploads {
		keys[*u.Key] = true
	}
	return keys
}

// TestAbortStale aborts what a process left behind, and neither what is alive
// nor what is somebody else's.
func TestAbortStale(t *testing.T) {
	dir := t.TempDir()
	dead := open(t, func(c *Config) { c.StateDir = dir })
	again := func(c *Config) { *c = dead.cfg }
	alive := open(t, again)
	ctx := t.Context()
	begin := func(s *Store, key string) objstore.Upload {
		t.Helper()
		u, err := s.NewUpload(ctx, key, objstore.PutOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := u.PutPart(ctx, 1, section("part")); err != nil {
			t.Fatal(err)
		}
		return u
	}
	begin(dead, "p/left")
	begin(dead, "q/left")
	if _, err := begin(dead, "p/committed").Commit(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if err := begin(dead, "p/aborted").Abort(ctx); err != nil {
		t.Fatal(err)
	}
	going := begin(alive, "p/alive")
	foreign := "p/foreign"
	if _, err := servers.S3(t).Client().CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &dead.cfg.Bucket, Key: &foreign}); err != nil {
		t.Fatal(err)
	}
	if err := dead.Close(); err != nil { // what the end of a process does to its lock
		t.Fatal(err)
	}

	abort := func(prefix string, before time.Time, want int) {
		t.Helper()
		if n, err := alive.AbortStale(ctx, prefix, before); n != want || err != nil {
			t.Errorf("abort below %q: %d, %v; want %d", prefix, n, err, want)
		}
	}
	later := time.Now().Add(time.Hour)
	abort("p/", time.Now().Add(-time.Hour), 0)
	other := open(t, func(c *Config) { c.StateDir = dir })
	if n, err := other.AbortStale(ctx, "", later); n != 0 || err != nil {
		t.Errorf("uploads of another bucket: %d, %v", n, err)
	}
	abort("p/", later, 1)
	if got := unfinished(t, alive); got["p/left"] || !got["q/left"] || !got["p/alive"] || !got[foreign] || len(got) != 3 {
		t.Errorf("left: %v", got)
	}
	abort("", later, 1)
	abort("", later, 0)
	if _, err := going.Commit(ctx, 1); err != nil {
		t.Error(err)
	}
}
