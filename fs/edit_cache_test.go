package fs

import (
	"strings"
	"testing"

	"github.com/pailfs/pailfs/cache"
	"github.com/pailfs/pailfs/objstore/faultstore"
	"github.com/pailfs/pailfs/objstore/memstore"
)

// What an edit needs of the old bytes comes from the cache, where they are.
func TestEditsReadTheCache(t *testing.T) {
	store, faults := faultstore.Wrap(memstore.New(memstore.Options{}))
	c := cache.Open(cache.Options{Dir: t.TempDir(), Size: 256 << 20})
	t.Cleanup(c.Close)
	m := mountStore(t, Options{Store: store, Cache: c})
	old := strings.Repeat("0123456789abcdef", 20<<20/16)
	m.put("f", old, nil)
	edit := func(cached bool) (gets int) {
		obj, err := store.Stat(t.Context(), "f")
		if err != nil {
			t.Fatal(err)
		}
		text, _ := m.object("f")
		if cached {
			c.Put(obj, []byte(text), 0)
			c.Flush()
		}
		before := faults.Count(faultstore.Get, "f")
		m.sh("printf XYZ | dd of=f bs=1 seek=9000001 conv=notrunc status=none")
		gets = faults.Count(faultstore.Get, "f") - before
		m.wantObject("f", text[:9000001]+"XYZ"+text[9000004:])
		return gets
	}
	if n := edit(false); n == 0 {
		t.Error("an edit needs no old bytes, so that this test shows nothing")
	}
	if n := edit(true); n != 0 {
		t.Errorf("%d requests for bytes that are in the cache", n)
	}
}
