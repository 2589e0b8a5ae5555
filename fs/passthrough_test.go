package fs

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pailfs/pailfs/cache"
	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/faultstore"
	"github.com/pailfs/pailfs/objstore/memstore"
)

// kernelPasses reports whether the kernel has FUSE passthrough, which came with
// 6.9, and lets us use it.
func kernelPasses(t *testing.T) bool {
	t.Helper()
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		t.Fatal(err)
	}
	v := strings.SplitN(unix.ByteSliceToString(u.Release[:]), ".", 3)
	major, _ := strconv.Atoi(v[0])
	minor, _ := strconv.Atoi(strings.TrimRight(v[1], "-abcdefghijklmnopqrstuvwxyz"))
	return os.Geteuid() == 0 && (major > 6 || major == 6 && minor >= 9)
}

// passMount is a mount of a store with the file f of size bytes, all of which are
// in the cache, and the name of its file there.
func passMount(t *testing.T, opt Options, size int) (*mounted, *faultstore.Faults, string) {
	t.Helper()
	store, faults := faultstore.Wrap(memstore.New(memstore.Options{}))
	dir := t.TempDir()
	opt.Store, opt.Cache = store, cache.Open(cache.Options{Dir: dir, Size: 256 << 20})
	t.Cleanup(opt.Cache.Close)
	m := mountStore(t, opt)
	text := strings.Repeat("0123456789abcde\n", size/16)
	m.put("f", text, nil)
	obj, err := store.Stat(t.Context(), "f")
	if err != nil {
		t.Fatal(err)
	}
	opt.Cache.Put(obj, []byte(text), 0)
	opt.Cache.Flush()
	var data string
	err = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if filepath.Ext(path) == ".data" {
			data = path
		}
		return err
	})
	if err != nil || data == "" {
		t.Fatalf("no file in the cache: %v", err)
	}
	return m, faults, data
}

// The kernel reads a whole file of the cache itself: it does not see a change
// that our own reads would find.
func TestPassthrough(t *testing.T) {
	for name, opt := range map[string]Options{"ro": {ReadOnly: true}, "asked for": {Passthrough: true}} {
		t.Run(name, func(t *testing.T) {
			m, faults, data := passMount(t, opt, 3<<20)
			before := faults.Count(faultstore.Get, "f")
			script := "exec 3< f 4< f; printf X | dd of=" + data + " conv=notrunc status=none; head -c 4 <&3; head -c 4 <&4; exec 3<&- 4<&-"
			want := "X123X123"
			if !kernelPasses(t) {
				want = "01230123"
			}
			if got := m.sh(script); got != want {
				t.Errorf("read %q, want %q", got, want)
			}
			// Opened again, when the kernel has let go of it, the file is not as it was
			// verified, and read by us.
			m.waitFor(func() bool { return m.sh("dd if=f bs=4096 count=1 status=none iflag=direct | head -c 4") == "0123" })
			if n := faults.Count(faultstore.Get, "f") - before; kernelPasses(t) && n != 1 {
				t.Errorf("%d requests, want one for the damaged block", n)
			}
		})
	}
}

// Who writes gets a new node; readers go on with the version they opened.
func TestPassthroughAndWriters(t *testing.T) {
	m, _, _ := passMount(t, Options{Passthrough: true}, 1<<20)
	got := m.sh(`exec 3< f; head -c 4 <&3; echo new > f; cat f; head -c 4 <&3; exec 4< f; cat <&4; printf more >> f; cat f; truncate -s 2 f; cat f; echo; head -c 4 <&3; mv f g; cat g`)
	if want := "0123new\n4567new\nnew\nmorene\n89abne"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if text, _ := m.object("g"); text != "ne" {
		t.Errorf("the object is %q", text)
	}
}

// A large file is verified before it is handed out, not while somebody waits.
func TestPassthroughOfALargeFile(t *testing.T) {
	m, _, data := passMount(t, Options{ReadOnly: true}, 16<<20)
	obj := objstore.Object{Key: "f", Size: 16 << 20}
	o, err := m.store.Stat(t.Context(), "f")
	if err != nil {
		t.Fatal(err)
	}
	obj.Version = o.Version
	c := m.server.m.opt.Cache
	m.waitFor(func() bool {
		f := c.Whole(obj)
		if f != nil {
			f.Close()
		}
		return f != nil
	})
	// A change after that is noticed.
	if err := os.WriteFile(data, make([]byte, 16<<20), 0600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if f := c.Whole(obj); f != nil {
			t.Fatal("handed out after a change")
		}
	}
	if got := m.sh("head -c 4 f"); got != "0123" {
		t.Errorf("read %q", got)
	}
}
