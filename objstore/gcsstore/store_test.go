package gcsstore

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/pailfs/pailfs/integration/servers"
	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/storetest"
)

func TestMain(m *testing.M) {
	for _, kv := range (servers.GCSEndpoint{}).Env() {
		k, v, _ := strings.Cut(kv, "=")
		os.Setenv(k, v)
	}
	os.Exit(servers.Main(m))
}

// open returns the store of a fresh bucket, probed. When the test ends nothing
// temporary may be left in the bucket.
func open(t testing.TB, change ...func(*Config)) *Store {
	t.Helper()
	ep := servers.GCS(t)
	c := Config{Bucket: servers.GCSBucket(t, ep), Endpoint: ep.API()}
	for _, f := range change {
		f(&c)
	}
	s, err := newStore(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		for _, name := range objectsIn(t, ep, c.Bucket) {
			if strings.Contains(name, ".pailfs/") {
				t.Errorf("%q is left in the bucket", name)
			}
		}
	})
	if err := s.Probe(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	return s
}

func objectsIn(t testing.TB, ep servers.GCSEndpoint, bucket string) []string {
	t.Helper()
	names, err := servers.GCSObjects(context.WithoutCancel(t.Context()), ep, bucket)
	if err != nil {
		t.Error(err)
	}
	return names
}

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) objstore.Store { return open(t) })
}

func TestContractOneStream(t *testing.T) {
	storetest.Run(t, func(t *testing.T) objstore.Store {
		return open(t, func(c *Config) { c.OneStream = true })
	})
}

func TestMissingBucket(t *testing.T) {
	ep := servers.GCS(t)
	storetest.RunMissing(t, func(t *testing.T) objstore.Store {
		s, err := newStore(t.Context(), Config{Bucket: "no-such-bucket", Endpoint: ep.API()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	})
}
