package azstore

import (
	"os"
	"strings"
	"testing"

	"github.com/pailfs/pailfs/integration/servers"
	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/storetest"
)

func TestMain(m *testing.M) {
	for _, kv := range (servers.AzureEndpoint{}).Env() {
		k, v, _ := strings.Cut(kv, "=")
		os.Setenv(k, v)
	}
	os.Exit(servers.Main(m))
}

// open returns the store of a fresh container.
func open(t testing.TB, change ...func(*Config)) *Store {
	t.Helper()
	ep := servers.Azure(t)
	c := Config{Container: servers.AzureContainer(t, ep), Endpoint: ep.URL}
	for _, f := range change {
		f(&c)
	}
	s, err := newStore(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) objstore.Store { return open(t) })
}

func TestMissingContainer(t *testing.T) {
	ep := servers.Azure(t)
	storetest.RunMissing(t, func(t *testing.T) objstore.Store {
		s, err := New(t.Context(), Config{Container: "no-such-container", Endpoint: ep.Host()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	})
}
