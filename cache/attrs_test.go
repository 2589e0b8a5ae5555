package cache

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pailfs/pailfs/objstore"
)

func attrs(prefix string) map[string]objstore.Object {
	return map[string]objstore.Object{
		"a":        {Key: prefix + "a", Size: 7, Version: `"v"`, ModTime: time.Unix(5, 6).UTC(), Metadata: map[string]string{"mode": "33188"}, MetadataKnown: true},
		"b\xffc\n": {Key: prefix + "b\xffc\n", Checksums: objstore.Checksums{CRC32C: []byte{1, 2, 3, 4}}, MetadataKnown: true},
	}
}

func TestAttrs(t *testing.T) {
	w := newWorld(t, Options{Dir: t.TempDir(), Size: 64 << 20})
	if got := w.c.Attrs("d/"); got != nil {
		t.Errorf("%v out of nothing", got)
	}
	w.c.SaveAttrs("d/", attrs("d/"))
	w.c.SaveAttrs("", nil)
	w.restart()
	if diff := cmp.Diff(attrs("d/"), w.c.Attrs("d/")); diff != "" {
		t.Error(diff)
	}
	if got := w.c.Attrs(""); len(got) != 0 {
		t.Errorf("%v of the root", got)
	}
	// Any byte that is damaged makes them unknown.
	path := w.c.disk.attrPath("d/")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		bad := append([]byte(nil), good...)
		bad[i] ^= 1
		if _, err := parseAttrs(bad); err == nil {
			t.Errorf("a flip of byte %d is not found", i)
		}
		if _, err := parseAttrs(good[:i]); err == nil {
			t.Errorf("a cut to %d bytes is not found", i)
		}
	}
	w.change(path, func(b []byte) []byte { return b[:len(b)-1] })
	if got := w.c.Attrs("d/"); got != nil || w.c.Stats().Corrupt != 1 {
		t.Errorf("%v, counted %d", got, w.c.Stats().Corrupt)
	}
	w.opt.Store = "another"
	w.c.SaveAttrs("d/", attrs("d/"))
	w.restart()
	if got := w.c.Attrs("d/"); got != nil {
		t.Errorf("%v of another store", got)
	}
}

// Attributes count in the budget.
func TestAttrsAreEvicted(t *testing.T) {
	w := newWorld(t, Options{Dir: t.TempDir(), Size: 4 << 20})
	w.c.SaveAttrs("d/", attrs("d/"))
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(w.c.disk.attrPath("d/"), old, old); err != nil {
		t.Fatal(err)
	}
	for i := range 12 {
		obj, want := w.put(filepath.Join("k", string(rune('a'+i))), 4*BlockSize)
		w.check(obj, want, 0, obj.Size)
		w.c.Flush()
	}
	if got := w.c.Attrs("d/"); got != nil {
		t.Error("the oldest stayed")
	}
}
