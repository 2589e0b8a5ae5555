package journal

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

var small = Options{Segment: 16 << 10, Limit: 1 << 20, Free: 1}

func open(t testing.TB, dir string, opt Options) *Journal {
	t.Helper()
	j, err := Open(dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func add(t testing.TB, j *Journal, key, data string) *Entry {
	t.Helper()
	e, err := j.Append(Record{ID: "id-" + key, Key: key}, []byte(data))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func content(t testing.TB, e *Entry) string {
	t.Helper()
	if err := e.Check(); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, e.Size)
	if n, err := e.ReadAt(b, 0); err != nil && n < len(b) {
		t.Fatal(err)
	}
	return string(b)
}

// found gives what a journal was opened with, by key.
func found(t testing.TB, j *Journal) map[string]string {
	t.Helper()
	m := map[string]string{}
	for _, e := range j.Entries() {
		m[e.Key] = content(t, e)
	}
	return m
}

func segments(t testing.TB, dir, suffix string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestJournal(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, small)
	if _, err := Open(dir, small); !errors.Is(err, ErrLocked) {
		t.Errorf("opened twice: %v", err)
	}
	a := add(t, j, "a", "one")
	add(t, j, "x\xff/b", "")
	c := add(t, j, "c", string(bytes.Repeat([]byte("c"), 9000)))
	if err := a.Done(); err != nil {
		t.Fatal(err)
	}
	kept, err := c.Keep()
	if b, rerr := os.ReadFile(kept); err != nil || rerr != nil || len(b) != 9000 {
		t.Errorf("kept %d bytes: %v, %v", len(b), err, rerr)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if !Exists(dir) {
		t.Error("nothing is left")
	}
	j = open(t, dir, small)
	if got := found(t, j); len(got) != 2 || got["x\xff/b"] != "" || len(got["c"]) != 9000 {
		t.Errorf("found %v", got)
	}
	for _, e := range j.Entries() {
		if err := e.Done(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(kept); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the copy is still there: %v", err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if Exists(dir) {
		t.Error("something is left")
	}
	for _, name := range []string{dir, filepath.Join(dir, "lock")} {
		if st, err := os.Stat(name); err != nil || st.Mode()&0077 != 0 && name != dir {
			t.Errorf("%s: %v, %v", name, st.Mode(), err)
		}
	}
}

// The space of what is done is used again, and its limit holds.
func TestSpace(t *testing.T) {
	dir := t.TempDir()
	opt := Options{Segment: 64 << 10, Limit: 256 << 10, Free: 1}
	j := open(t, dir, opt)
	defer j.Close()
	data := string(make([]byte, 20<<10))
	stays := add(t, j, "stays", data)
	for i := range 200 {
		if err := add(t, j, fmt.Sprint(i), data).Done(); err != nil {
			t.Fatal(err)
		}
		if n := len(segments(t, dir, suffix)); n > 3 {
			t.Fatalf("%d segments", n)
		}
	}
	var live []*Entry
	for {
		e, err := j.Append(Record{Key: "more"}, []byte(data))
		if errors.Is(err, ErrFull) {
			break
		}
		if err != nil || len(live) > 20 {
			t.Fatal(len(live), err)
		}
		live = append(live, e)
	}
	if len(live) < 6 {
		t.Errorf("full after %d", len(live))
	}
	if got := content(t, stays); got != data {
		t.Error("what stays has changed")
	}
	for _, e := range live {
		if err := e.Done(); err != nil {
			t.Fatal(err)
		}
	}
	add(t, j, "again", data)
	if _, err := j.Append(Record{Key: "large"}, make([]byte, 65<<10)); !errors.Is(err, ErrFull) {
		t.Errorf("larger than a segment: %v", err)
	}
	full := open(t, t.TempDir(), Options{Free: 1 << 60})
	defer full.Close()
	if _, err := full.Append(Record{Key: "a"}, nil); !errors.Is(err, ErrFull) {
		t.Errorf("on a full disk: %v", err)
	}
}

func TestManyAtOnce(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, small)
	var wg sync.WaitGroup
	want := map[string]string{}
	var mu sync.Mutex
	for i := range 200 {
		wg.Go(func() {
			key := fmt.Sprint(i)
			e, err := j.Append(Record{Key: key}, []byte("content of "+key))
			if err == nil && i%3 == 0 {
				err = e.Done()
			} else {
				mu.Lock()
				want[key] = "content of " + key
				mu.Unlock()
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = open(t, dir, small)
	defer j.Close()
	if got := found(t, j); !maps.Equal(got, want) {
		t.Errorf("found %d, want %d", len(got), len(want))
	}
}

// A cancelled record is gone for the next process, and readable until it is done.
func TestCancel(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, small)
	e := add(t, j, "a", "bytes")
	if err := e.Cancel(); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		add(t, j, fmt.Sprint(i), "other").Done()
	}
	if got := content(t, e); got != "bytes" {
		t.Errorf("got %q", got)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = open(t, dir, small)
	defer j.Close()
	if got := found(t, j); len(got) != 0 {
		t.Errorf("found %v", got)
	}
}

// TestTornTail: whatever a crash leaves of records that were not on the disk, those
// before are found, and nothing is called damage.
func TestTornTail(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		dir := t.TempDir()
		j := open(t, dir, small)
		want := map[string]string{}
		var last *Entry
		var entries []*Entry
		for i := range rapid.IntRange(1, 8).Draw(r, "records") {
			data := rapid.SliceOfN(rapid.Byte(), 0, 1500).Draw(r, "data")
			key := fmt.Sprint(i)
			last = add(t, j, key, string(data))
			entries = append(entries, last)
			want[key] = string(data)
		}
		for _, e := range entries[:len(entries)-1] {
			if rapid.Bool().Draw(r, "done") {
				if err := e.Done(); err != nil {
					t.Fatal(err)
				}
				delete(want, e.Key)
			}
		}
		// Of the last one some sectors arrived.
		size := recordSize(int(last.data-last.head-recordHead), int(last.Size))
		path := last.seg.path()
		j.closeFiles()
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		whole := true
		for off := last.head; off < last.head+size; off += align {
			if rapid.Bool().Draw(r, "lost") {
				old := make([]byte, align)
				if _, err := f.ReadAt(old, off); err != nil {
					t.Fatal(err)
				}
				whole = whole && bytes.Equal(old, make([]byte, align))
				if _, err := f.WriteAt(make([]byte, align), off); err != nil {
					t.Fatal(err)
				}
			}
		}
		f.Close()
		if !whole {
			delete(want, last.Key)
		}
		j = open(t, dir, small)
		defer j.Close()
		if got := found(t, j); !maps.Equal(got, want) {
			r.Errorf("found %d records, want %d", len(got), len(want))
		}
		if d := j.Damaged(); len(d) > 0 {
			r.Errorf("damage: %v", d)
		}
		if e := add(t, j, "new", "works"); content(t, e) != "works" {
			r.Error("cannot go on")
		}
	})
}

// TestDamage: a byte that changes in a record which was on the disk is told, the
// other records are found, and the segment is kept.
func TestDamage(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		dir := t.TempDir()
		j := open(t, dir, small)
		var all []*Entry
		want := map[string]string{}
		for i := range 5 {
			data := rapid.SliceOfN(rapid.Byte(), 1, 1500).Draw(r, "data")
			all = append(all, add(t, j, fmt.Sprint(i), string(data)))
			want[fmt.Sprint(i)] = string(data)
		}
		hit := all[rapid.IntRange(0, 3).Draw(r, "record")]
		off := hit.head + rapid.Int64Range(0, hit.data+hit.Size-hit.head-1).Draw(r, "byte")
		if off >= hit.head+doneAt && off < hit.head+recordHead {
			off = hit.head // the mark is not part of it
		}
		path := hit.seg.path()
		j.closeFiles()
		flip(t, path, off)
		delete(want, hit.Key)
		j = open(t, dir, small)
		if got := found(t, j); !maps.Equal(got, want) {
			r.Errorf("found %d records, want %d", len(got), len(want))
		}
		if d := j.Damaged(); len(d) != 1 || d[0].Off != hit.head {
			r.Errorf("damage: %v, want one at %d", d, hit.head)
		}
		for _, e := range j.Entries() {
			if err := e.Done(); err != nil {
				t.Fatal(err)
			}
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		if kept := segments(t, dir, damagedSuffix); !slices.Equal(kept, []string{j.Damaged()[0].Path}) {
			r.Errorf("kept %v", kept)
		}
	})
}

func flip(t testing.TB, path string, off int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, off); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{^b[0]}, off); err != nil {
		t.Fatal(err)
	}
}

// A segment whose beginning is damaged cannot be read at all.
func TestDamagedHeader(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, small)
	e := add(t, j, "a", "bytes")
	j.closeFiles()
	flip(t, e.seg.path(), 9)
	j = open(t, dir, small)
	if d := j.Damaged(); len(d) != 1 || len(j.Entries()) != 0 {
		t.Errorf("damage %v, entries %v", d, j.Entries())
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if kept := segments(t, dir, damagedSuffix); len(kept) != 1 {
		t.Errorf("kept %v", kept)
	}
}

// What is read from the journal for an upload is what was written.
func TestCheck(t *testing.T) {
	j := open(t, t.TempDir(), small)
	defer j.Close()
	e := add(t, j, "a", "bytes")
	flip(t, e.seg.path(), e.data+2)
	if err := e.Check(); !errors.As(err, &Damage{}) {
		t.Errorf("got %v", err)
	}
	if _, err := e.Keep(); err == nil {
		t.Error("a damaged copy was made")
	}
}

// FuzzSegment: a segment may hold anything.
func FuzzSegment(f *testing.F) {
	dir := f.TempDir()
	j := open(f, dir, small)
	e := add(f, j, "a", "one")
	add(f, j, "b", "two").Done()
	b := make([]byte, 4096)
	if _, err := e.seg.file.ReadAt(b, 0); err != nil {
		f.Fatal(err)
	}
	j.Close()
	f.Add(b)
	f.Add(b[:700])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "x"+suffix), b, 0600); err != nil {
			t.Fatal(err)
		}
		j := open(t, dir, small)
		found(t, j)
		add(t, j, "new", "more")
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		j = open(t, dir, small)
		defer j.Close()
		if found(t, j)["new"] != "more" {
			t.Error("what was added is not found")
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	j := open(b, b.TempDir(), Options{})
	defer j.Close()
	data := make([]byte, 10<<10)
	for b.Loop() {
		e, err := j.Append(Record{ID: "0123456789abcdef", Key: "dir/name"}, data)
		if err != nil {
			b.Fatal(err)
		}
		e.Done()
	}
}
