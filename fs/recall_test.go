package fs

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pailfs/pailfs/cache"
	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/faultstore"
	"github.com/pailfs/pailfs/objstore/memstore"
)

// bareLists is a store whose listings carry no metadata, as with S3, and whose
// objects were all changed an hour ago.
func bareLists() (objstore.Store, *faultstore.Faults) {
	return faultstore.Wrap(memstore.New(memstore.Options{
		Caps: func(c *objstore.Caps) { c.ListMetadata = false },
		Now:  func() time.Time { return time.Now().Add(-time.Hour) },
	}))
}

func TestAttributesAreRemembered(t *testing.T) {
	store, faults := bareLists()
	copt := cache.Options{Dir: t.TempDir(), Size: 64 << 20}
	mount := func() *mounted {
		c := cache.Open(copt)
		t.Cleanup(c.Close)
		return mountStore(t, Options{Store: store, Cache: c, AttrTTL: 20 * time.Millisecond})
	}
	m := mount()
	const n = 30
	for i := range n {
		m.put(fmt.Sprintf("d/f%02d", i), "x", map[string]string{"mode": "33152"}) // 0600
	}
	list := func(m *mounted, stats int, want ...string) {
		t.Helper()
		time.Sleep(30 * time.Millisecond) // past the TTL
		asked := func() int { return faults.Count(faultstore.Stat, "d/f*") + faults.Count(faultstore.Stat, "d/moved") }
		before := asked()
		out := m.sh("ls -l --time-style=+%s d")
		// A lookup that comes later than the TTL asks for its name alone.
		if got := asked() - before; got < stats || got > stats+3 {
			t.Errorf("%d objects asked for, want %d and hardly more", got, stats)
		}
		if got := strings.Count(out, "-rw-------"); got != n-len(want) {
			t.Errorf("%d files have the mode of the store, want %d:\n%s", got, n-len(want), out)
		}
		for _, line := range want {
			if !strings.Contains(out, line) {
				t.Errorf("no %s in\n%s", line, out)
			}
		}
	}
	list(m, n)
	list(m, 0)
	m.server.m.saveRecalled()
	other := mount()
	list(other, 0)
	// Changes are seen, whoever makes them: one object, one request.
	m.put("d/f03", "x", map[string]string{"mode": "33188"})
	list(other, 1, "-rw-r--r--")
	list(other, 0, "-rw-r--r--")
	other.sh("chmod 755 d/f04; mv d/f05 d/moved; chmod 711 d/moved")
	list(other, 1, "-rw-r--r--", "-rwxr-xr-x", "-rwx--x--x")
	list(other, 0, "-rw-r--r--", "-rwxr-xr-x", "-rwx--x--x")
	other.server.m.saveRecalled()
	list(mount(), 0, "-rw-r--r--", "-rwxr-xr-x", "-rwx--x--x")
}

// Attributes of what was changed a moment ago are not kept: a listing might not
// show the next change.
func TestUnsettledAttributesAreNotKept(t *testing.T) {
	m := mountStore(t, Options{})
	d := m.server.m.root
	d.m.store = noListMetadata{d.m.store}
	obj := objstore.Object{Key: "f", Version: "v", MetadataKnown: true, ModTime: time.Now()}
	listed := func() objstore.Object {
		o := objstore.Object{Key: "f", Version: "v", ModTime: obj.ModTime}
		d.recall("", []*objstore.Object{&o})
		return o
	}
	d.learn("f", obj)
	if listed().MetadataKnown {
		t.Error("attributes of an object changed now are kept")
	}
	obj.ModTime = obj.ModTime.Add(-time.Minute)
	d.learn("f", obj)
	if !listed().MetadataKnown {
		t.Error("attributes of an object changed a minute ago are not kept")
	}
	obj.ModTime = obj.ModTime.Add(time.Second)
	if listed().MetadataKnown {
		t.Error("attributes are believed of an object that changed since")
	}
}

type noListMetadata struct{ objstore.Store }

func (noListMetadata) Caps() objstore.Caps { return objstore.Caps{} }
