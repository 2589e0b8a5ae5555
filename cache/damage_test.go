package cache

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/pailfs/pailfs/objstore"
)

// file finds the one file of the cache that has the extension.
func (w *world) file(ext string) string {
	w.Helper()
	names, err := filepath.Glob(filepath.Join(w.opt.Dir, blocksDir, "*", "*"+ext))
	if err != nil || len(names) != 1 {
		w.Fatalf("files with %s: %q, %v", ext, names, err)
	}
	return names[0]
}

func (w *world) change(name string, f func([]byte) []byte) {
	w.Helper()
	b, err := os.ReadFile(name)
	if err == nil {
		err = os.WriteFile(name, f(b), 0600)
	}
	if err != nil {
		w.Fatal(err)
	}
}

// Whatever becomes of the files, what is read is what the store has, and the
// block or the file that was damaged is fetched again and then kept.
func TestDamage(t *testing.T) {
	w := newWorld(t, Options{Dir: t.TempDir(), Size: 64 << 20})
	const size = 2*BlockSize + 100
	obj, want := w.put("a", size)
	w.check(obj, want, 0, size)
	w.c.Flush()
	sidecar, err := os.ReadFile(w.file(sumExt))
	if err != nil {
		t.Fatal(err)
	}
	header, _, err := parseHeader(sidecar)
	if err != nil {
		t.Fatal(err)
	}
	enc, _, _ := header.encode()

	healed := func(what string, counted bool) {
		t.Helper()
		before := w.c.Stats().Corrupt
		w.check(obj, want, 0, size)
		if got := w.c.Stats().Corrupt - before; counted != (got > 0) {
			t.Errorf("%s: counted %d times", what, got)
		}
		w.c.Flush()
		w.expect(0, func() { w.check(obj, want, 0, size) })
	}
	flip := func(name string, at int) {
		t.Helper()
		w.change(name, func(b []byte) []byte { b[at] ^= 0x10; return b })
	}
	for _, at := range []int{0, 1, BlockSize - 1, BlockSize, 2*BlockSize - 1, 2 * BlockSize, size - 1} {
		flip(w.file(dataExt), at)
		healed("flipped data", true)
	}
	for at := range len(enc) {
		flip(w.file(sumExt), at)
		healed("flipped header", true)
	}
	for at := range 3 * entrySize {
		flip(w.file(sumExt), headerSize+at)
		// An entry has nothing to say where it is not asked.
		healed("flipped entry", true)
	}
	for _, n := range []int64{0, 1, BlockSize, size - 1} {
		if err := os.Truncate(w.file(dataExt), n); err != nil {
			t.Fatal(err)
		}
		healed("cut data", true)
	}
	for _, n := range []int64{0, 10, int64(len(enc)) - 1, headerSize, headerSize + 7, headerSize + 2*entrySize} {
		if err := os.Truncate(w.file(sumExt), n); err != nil {
			t.Fatal(err)
		}
		healed("cut sidecar", n < int64(len(enc))) // beyond the header: blocks that are not there
	}
	remove := func(exts ...string) {
		t.Helper()
		for _, ext := range exts {
			if err := os.Remove(w.file(ext)); err != nil {
				t.Fatal(err)
			}
		}
	}
	remove(dataExt)
	healed("removed data", true)
	remove(sumExt)
	healed("removed sidecar", false)
	remove(dataExt, sumExt)
	healed("removed both", false)
}

// A sidecar moved to another name does not lend its blocks.
func TestSidecarOfAnother(t *testing.T) {
	w := newWorld(t, Options{Dir: t.TempDir(), Size: 64 << 20})
	a, _ := w.put("a", odd)
	b, want := w.put("bb", odd)
	for _, obj := range []objstore.Object{a, b} {
		if _, err := w.get(obj, 0, odd); err != nil {
			t.Fatal(err)
		}
	}
	w.c.Flush()
	from, to := w.c.disk.path(a.Key, string(a.Version)), w.c.disk.path(b.Key, string(b.Version))
	for _, ext := range []string{dataExt, sumExt} {
		if err := os.Rename(from+ext, to+ext); err != nil {
			t.Fatal(err)
		}
	}
	w.expect(1, func() { w.check(b, want, 0, odd) })
	if n := w.c.Stats().Corrupt; n != 1 {
		t.Errorf("counted %d times", n)
	}
}

func FuzzSidecar(f *testing.F) {
	good, _, _ := header{"s3://bucket", "dir/key", `"etag"`, 12345}.encode()
	f.Add(good, int64(0))
	f.Add(good[:len(good)-1], int64(1))
	f.Add([]byte(magic), int64(-1))
	f.Add([]byte{}, int64(1<<40))
	f.Fuzz(func(t *testing.T, b []byte, block int64) {
		h, sum, err := parseHeader(b)
		if err == nil {
			// What is understood is exactly what was written.
			again, sum2, _ := h.encode()
			if len(again) > len(b) || string(again) != string(b[:len(again)]) || sum != sum2 {
				t.Errorf("%q is read as %+v", b, h)
			}
		}
		if len(b) >= entrySize {
			sum, state := parseEntry(b, 7, block)
			if state == present {
				var e [entrySize]byte
				putEntry(e[:], 7, block, sum)
				if string(e[:]) != string(b[:entrySize]) {
					t.Errorf("%x is read as the sum %x", b[:entrySize], sum)
				}
			}
		}
	})
}

func TestEntries(t *testing.T) {
	var e [entrySize]byte
	for _, sum := range []uint32{0, 1, 0xdeadbeef} {
		putEntry(e[:], 5, 9, sum)
		if got, state := parseEntry(e[:], 5, 9); got != sum || state != present {
			t.Errorf("sum %x is read as %x, state %d", sum, got, state)
		}
		if _, state := parseEntry(e[:], 5, 8); state != damaged {
			t.Errorf("the entry of another block is believed")
		}
		if _, state := parseEntry(e[:], 6, 9); state != damaged {
			t.Errorf("the entry of another sidecar is believed")
		}
	}
}
