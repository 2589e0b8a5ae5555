package gcsstore

import (
	"os"
	"testing"
	"time"

	"github.com/pailfs/pailfs/integration/servers"
	"github.com/pailfs/pailfs/objstore"
)

// What a killed process left behind is found by another of the same machine,
// below its prefix. What others have begun is left alone.
func TestAbortStaleAfterCrash(t *testing.T) {
	ep := servers.GCS(t)
	bucket := servers.GCSBucket(t, ep)
	c := Config{Bucket: bucket, Endpoint: ep.API(), Private: "p/" + DefaultPrivate, StateDir: t.TempDir()}
	crashed, err := newStore(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	c2 := c
	c2.StateDir = t.TempDir()
	elsewhere, err := newStore(t.Context(), c2)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := elsewhere.NewUpload(t.Context(), "p/a/theirs", objstore.PutOptions{})
	if err == nil {
		err = theirs.PutPart(t.Context(), 1, section("theirs"))
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"p/a/k", "p/b/k"} {
		u, err := crashed.NewUpload(t.Context(), key, objstore.PutOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for n := range 3 {
			if err := u.PutPart(t.Context(), n+1, section("part")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := crashed.Put(t.Context(), c.Private+"foreign/x", section("not ours"), objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if n, err := crashed.AbortStale(t.Context(), "", time.Now().Add(time.Hour)); err != nil || n != 0 {
		t.Errorf("what is alive: %d, %v", n, err)
	}
	crashed.registry.Close() // it dies
	bare, err := newStore(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	s := objstore.WithPrefix(bare, "p")
	t.Cleanup(func() { s.Close() })
	for o, err := range objstore.ListAll(t.Context(), s, objstore.ListRequest{}) {
		t.Errorf("listed %+v, %v", o, err)
	}
	cleaner := s.(objstore.Cleaner)
	for _, want := range []struct {
		prefix    string
		olderThan time.Time
		n, left   int
	}{
		{"", time.Now().Add(-time.Hour), 0, 8},
		{"a/", time.Now().Add(time.Hour), 1, 5},
		{"a/", time.Now().Add(time.Hour), 0, 5},
		{"", time.Now().Add(time.Hour), 1, 2},
	} {
		n, err := cleaner.AbortStale(t.Context(), want.prefix, want.olderThan)
		if err != nil || n != want.n {
			t.Errorf("%+v: %d, %v", want, n, err)
		}
		if names := objectsIn(t, ep, bucket); len(names) != want.left {
			t.Errorf("%+v: left %q", want, names)
		}
	}
	if _, err := theirs.Commit(t.Context(), 1); err != nil {
		t.Errorf("the upload of another machine: %v", err)
	}
	if err := elsewhere.Close(); err != nil {
		t.Fatal(err)
	}
	if names, err := os.ReadDir(c2.StateDir); err != nil || len(names) != 0 {
		t.Errorf("an orderly end left %v, %v", names, err)
	}
}
