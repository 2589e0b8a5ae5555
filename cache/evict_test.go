package cache

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pailfs/pailfs/objstore"
)

func TestBudget(t *testing.T) {
	w := newWorld(t, Options{Dir: t.TempDir(), Size: 4 << 20})
	for i := range 40 {
		obj, want := w.put(fmt.Sprint("key", i), 4*BlockSize)
		w.check(obj, want, 0, obj.Size)
		w.c.Flush()
		if used := diskUsage(t, w.opt.Dir); used > w.opt.Size {
			t.Fatalf("%d bytes in the directory, budget %d", used, w.opt.Size)
		}
	}
	s := w.c.Stats()
	if s.Evicted == 0 || s.Bytes < w.opt.Size/2 {
		t.Errorf("%+v: evicted nothing, or too much", s)
	}
}

// What was not used for longest goes first, also after a restart.
func TestOldestIsEvicted(t *testing.T) {
	w := newWorld(t, Options{Dir: t.TempDir(), Size: 4 << 20})
	var objs []objstore.Object
	var wants [][]byte
	for i := range 6 {
		obj, want := w.put(fmt.Sprint("key", i), 4*BlockSize)
		w.check(obj, want, 0, obj.Size)
		objs, wants = append(objs, obj), append(wants, want)
	}
	w.c.Flush()
	for i, obj := range objs { // times an hour apart
		at := time.Now().Add(time.Duration(i-10) * time.Hour)
		if err := os.Chtimes(w.c.disk.path(obj.Key, string(obj.Version))+sumExt, at, at); err != nil {
			t.Fatal(err)
		}
	}
	w.check(objs[0], wants[0], 0, 1) // used now
	w.restart()
	for i := range 3 {
		obj, want := w.put(fmt.Sprint("new", i), 4*BlockSize)
		w.check(obj, want, 0, obj.Size)
		w.c.Flush()
	}
	w.expect(0, func() { w.check(objs[0], wants[0], 0, objs[0].Size) })
	w.expect(1, func() { w.check(objs[1], wants[1], 0, objs[1].Size) })
}

// A body that is being read goes on when its files are evicted.
func TestEvictionWhileReading(t *testing.T) {
	w := newWorld(t, Options{Dir: t.TempDir(), Size: 4 << 20})
	obj, want := w.put("a", 12*BlockSize)
	w.check(obj, want, 0, obj.Size)
	w.c.Flush()
	before := w.gets()
	body, _, err := w.g.Get(t.Context(), obj.Key, objstore.Range{Off: 0, Len: obj.Size}, objstore.Cond{Version: obj.Version})
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	got := make([]byte, BlockSize)
	if _, err := io.ReadFull(body, got); err != nil {
		t.Fatal(err)
	}
	name := w.c.disk.path(obj.Key, string(obj.Version)) + sumExt
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(name, old, old); err != nil {
		t.Fatal(err)
	}
	w.c.Flush()
	for i := range 8 {
		o, b := w.put(fmt.Sprint("other", i), 4*BlockSize)
		w.c.Put(o, b, 0)
		w.c.Flush()
	}
	if _, err := os.Stat(name); err == nil {
		t.Fatal("not evicted")
	}
	rest, err := io.ReadAll(body)
	if err != nil || !bytes.Equal(append(got, rest...), want) {
		t.Errorf("%d bytes, %v", len(got)+len(rest), err)
	}
	if n := w.gets() - before; n != 0 {
		t.Errorf("%d requests for what was open", n)
	}
}

// One object does not empty the cache of all others.
func TestLargeObject(t *testing.T) {
	w := newWorld(t, Options{Dir: t.TempDir(), Size: 8 << 20})
	small, want := w.put("small", 2*BlockSize)
	w.check(small, want, 0, small.Size)
	large, bytes := w.put("large", 20<<20)
	for off := int64(0); off < large.Size; off += 4 << 20 {
		w.check(large, bytes, off, 4<<20)
		w.c.Flush()
	}
	w.expect(0, func() { w.check(small, want, 0, small.Size) })
	w.expect(0, func() { w.check(large, bytes, 0, 4<<20) })
	w.expect(1, func() { w.check(large, bytes, 8<<20, 4<<20) })
}

// A disk that hangs holds readers up for a moment, then they go on without it.
func TestDiskThatHangs(t *testing.T) {
	w := newWorld(t, Options{Dir: t.TempDir(), Size: 64 << 20})
	for range queueLen {
		w.c.disk.slots <- struct{}{} // as blocks that are being written for ever
	}
	obj, want := w.put("a", 64*BlockSize)
	begun := time.Now()
	for range 5 {
		w.check(obj, want, 0, obj.Size)
	}
	if s := w.c.Stats(); s.Skipped != 5*64 || s.Stored != 0 {
		t.Errorf("after %v: %+v", time.Since(begun), s)
	}
	for range queueLen {
		<-w.c.disk.slots
	}
	w.check(obj, want, 0, queueLen*BlockSize)
	w.c.Flush()
	w.expect(0, func() { w.check(obj, want, 0, queueLen*BlockSize) })
}

func TestPatience(t *testing.T) {
	var p patience
	now := time.Now()
	p.left(now)
	p.spend(maxPatience)
	if left := p.left(now.Add(800 * time.Millisecond)); left != 100*time.Millisecond {
		t.Errorf("%v of 800 ms", left)
	}
	if left := p.left(now.Add(time.Hour)); left != maxPatience {
		t.Errorf("%v after an hour", left)
	}
}

// tmpfs is a small file system of its own.
func tmpfs(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("pailfs-test", dir, "tmpfs", 0, "size="+size); err != nil {
		if os.Getenv("CI") != "" || !errors.Is(err, syscall.EPERM) {
			t.Fatal(err)
		}
		t.Skip("needs root")
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
			syscall.Unmount(dir, syscall.MNT_DETACH)
		}
	})
	return dir
}

func TestFreeSpaceFloor(t *testing.T) {
	dir := tmpfs(t, "8m")
	w := newWorld(t, Options{Dir: dir, Size: 64 << 20, Free: 4 << 20})
	defer w.c.Close()
	free := func() int64 {
		var st syscall.Statfs_t
		if err := syscall.Statfs(dir, &st); err != nil {
			t.Fatal(err)
		}
		return int64(st.Bavail) * st.Bsize
	}
	for i := range 12 {
		obj, want := w.put(fmt.Sprint("key", i), 6*BlockSize)
		w.check(obj, want, 0, obj.Size)
		w.c.Flush()
		if f := free(); f < w.opt.Free-BlockSize-2*headerSize {
			t.Fatalf("%d bytes free, floor %d", f, w.opt.Free)
		}
	}
	if s := w.c.Stats(); s.Evicted == 0 || s.Stored == 0 {
		t.Errorf("%+v: stored or evicted nothing", s)
	}
	// Another program takes the rest: nothing more is stored, nothing fails.
	if err := os.WriteFile(filepath.Join(dir, "hog"), make([]byte, 4<<20-BlockSize), 0600); err != nil {
		t.Fatal(err)
	}
	obj, want := w.put("last", 6*BlockSize)
	w.check(obj, want, 0, obj.Size)
	w.c.Flush()
	w.expect(1, func() { w.check(obj, want, 0, obj.Size) })
	if log := w.logged(); log != "" {
		t.Errorf("logged: %s", log)
	}
}

func TestFullDisk(t *testing.T) {
	w := newWorld(t, Options{Dir: tmpfs(t, "1m"), Size: 64 << 20})
	defer w.c.Close()
	obj, want := w.put("a", 16*BlockSize)
	for range 3 {
		w.check(obj, want, 0, obj.Size)
		w.c.Flush()
	}
	if n := strings.Count(w.logged(), "level=WARN"); n != 1 || !strings.Contains(w.logged(), "no space left") {
		t.Errorf("want one warning, got:\n%s", w.logged())
	}
}

func TestReadOnlyDirectory(t *testing.T) {
	dir := tmpfs(t, "4m")
	w := newWorld(t, Options{Dir: dir, Size: 64 << 20})
	defer w.c.Close()
	obj, want := w.put("a", 4*BlockSize)
	w.check(obj, want, 0, obj.Size)
	w.c.Flush()
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	other, bytes := w.put("bb", 4*BlockSize)
	for range 3 {
		w.check(obj, want, 0, obj.Size)
		w.check(other, bytes, 0, other.Size)
		w.c.Flush()
	}
	w.restart()
	w.check(obj, want, 0, obj.Size)
	if n := strings.Count(w.logged(), "level=WARN"); n != 2 { // one each time
		t.Errorf("want two warnings, got:\n%s", w.logged())
	}
}
