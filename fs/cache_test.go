package fs

import (
	"strings"
	"testing"

	"github.com/pailfs/pailfs/cache"
	"github.com/pailfs/pailfs/objstore/faultstore"
	"github.com/pailfs/pailfs/objstore/memstore"
)

// cached is a mount with a cache of its own over a store that counts.
func cached(t *testing.T, opt Options, copt cache.Options) (*mounted, *faultstore.Faults) {
	t.Helper()
	store, faults := faultstore.Wrap(memstore.New(memstore.Options{}))
	opt.Store, opt.Cache = store, cache.Open(copt)
	t.Cleanup(opt.Cache.Close)
	return mountStore(t, opt), faults
}

// direct reads a file past the kernel's page cache.
const direct = "dd if=%s iflag=direct bs=128k status=none | sha256sum"

func (m *mounted) direct(name string) string {
	m.Helper()
	return m.sh(strings.ReplaceAll(direct, "%s", name))
}

func TestSecondReadComesFromTheCache(t *testing.T) {
	m, faults := cached(t, Options{}, cache.Options{Dir: t.TempDir(), Size: 64 << 20})
	m.put("f", strings.Repeat("0123456789abcde\n", 200_000), nil) // 3.2 MB
	first := m.direct("f")
	if faults.Count(faultstore.Get, "f") == 0 {
		t.Fatal("read without a request")
	}
	// A disk that is busy may not have kept all at once.
	m.waitFor(func() bool {
		m.server.m.opt.Cache.Flush()
		before := faults.Count(faultstore.Get, "f")
		if again := m.direct("f"); again != first {
			t.Fatalf("%s, then %s", first, again)
		}
		return faults.Count(faultstore.Get, "f") == before
	})
	// Another version is another file.
	m.put("f", "changed", nil)
	m.waitFor(func() bool { return m.sh("cat f") == "changed" })
}

func TestCommittedBytesAreCached(t *testing.T) {
	m, faults := cached(t, Options{}, cache.Options{Dir: t.TempDir(), Size: 64 << 20})
	m.sh("head -c 20000000 /dev/zero | tr '\\0' x > large; echo small > small; echo more >> small; mv small moved")
	m.waitFor(func() bool { return m.server.m.opt.Cache.Stats().Stored > 20_000_000/cache.BlockSize })
	m.direct("large")
	if got := m.sh("dd if=moved iflag=direct bs=128k status=none"); got != "small\nmore\n" {
		t.Errorf("%q", got)
	}
	if n := faults.Count(faultstore.Get, "large"); n != 0 {
		t.Errorf("%d requests for what was just written", n)
	}
}
