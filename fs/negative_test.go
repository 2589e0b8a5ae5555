package fs

import (
	"testing"
	"time"

	"github.com/pailfs/pailfs/objstore/faultstore"
	"github.com/pailfs/pailfs/objstore/memstore"
)

// That a name is not there is remembered like what is there, until we make it.
func TestNegativeEntries(t *testing.T) {
	store, faults := faultstore.Wrap(memstore.New(memstore.Options{}))
	m := mountStore(t, Options{Store: store, AttrTTL: time.Hour})
	m.sh("for i in $(seq 50); do if [ -e missing ]; then exit 1; fi; done")
	if n := faults.Count(faultstore.Stat, "missing") + faults.Count(faultstore.List, "missing*"); n > 2 {
		t.Errorf("%d requests for a name that is not there", n)
	}
	m.sh(`for i in $(seq 5); do
		test ! -e f; echo x > f; test -e f; mv f g; test ! -e f; test -e g; rm g; test ! -e g
		mkdir d; echo x > d/f; mv d e; test ! -e d/f; test -e e/f; rm -r e; test ! -e e
		ln -s t l; test -L l; rm l; test ! -L l; done`)
	// A failed writer leaves a file that nobody made by its name.
	m.sh("echo old > w; test ! -e w.partial; bash -c 'exec > w; echo new; exit 3' || true")
	m.waitFor(func() bool {
		_, err := m.try("test -e w.partial")
		return err == nil
	})
}

func TestNegativeEntriesEnd(t *testing.T) {
	m := mountStore(t, Options{AttrTTL: 50 * time.Millisecond})
	m.sh("test ! -e f")
	m.put("f", "x", nil)
	m.waitFor(func() bool {
		_, err := m.try("test -e f")
		return err == nil
	})
}
