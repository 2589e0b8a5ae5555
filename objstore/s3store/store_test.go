package s3store

import (
	"os"
	"testing"

	"github.com/pailfs/pailfs/integration/servers"
	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/storetest"
)

func TestMain(m *testing.M) {
	os.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	os.Setenv("AWS_CONFIG_FILE", os.DevNull)
	os.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	os.Exit(servers.Main(m))
}

func TestMissingBucket(t *testing.T) {
	storetest.RunMissing(t, func(t *testing.T) objstore.Store {
		ep := servers.S3(t)
		s, err := New(t.Context(), Config{
			Bucket: "no-such-bucket", Endpoint: ep.URL, Region: ep.Region, AccessKey: ep.AccessKey, SecretKey: ep.SecretKey,
		})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

// open returns the store of a fresh bucket on a real server, probed.
func open(t testing.TB, change ...func(*Config)) *Store {
	t.Helper()
	ep := servers.S3(t)
	c := Config{
		Bucket: servers.Bucket(t, ep), Endpoint: ep.URL, Region: ep.Region,
		AccessKey: ep.AccessKey, SecretKey: ep.SecretKey,
	}
	for _, f := range change {
		f(&c)
	}
	s, err := newStore(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if err := s.Probe(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) objstore.Store { return open(t) })
}
