package staging

import (
	"bytes"
	"os"
	"testing"

	"pgregory.net/rapid"
)

func TestSetAgainstBits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const size = 200
		var s Set
		var want [size]bool
		for range rapid.IntRange(1, 60).Draw(t, "ops") {
			off := rapid.IntRange(0, size).Draw(t, "off")
			end := rapid.IntRange(off, size).Draw(t, "end")
			add := rapid.Bool().Draw(t, "add")
			if add {
				s.Add(int64(off), int64(end))
			} else {
				s.Remove(int64(off), int64(end))
			}
			for i := off; i < end; i++ {
				want[i] = add
			}
			var got [size]bool
			last, n := int64(-1), int64(0)
			for e := range s.All() {
				if e.Off <= last || e.Off >= e.End {
					t.Fatalf("extents not normal: %v", s.ext)
				}
				last = e.End
				n += e.Len()
				for i := e.Off; i < e.End; i++ {
					got[i] = true
				}
			}
			if got != want || n != s.Bytes() {
				t.Fatalf("set is %v (%d bytes), want %v", s.ext, s.Bytes(), want)
			}
			a := rapid.IntRange(0, size).Draw(t, "a")
			b := rapid.IntRange(a, size).Draw(t, "b")
			all, sum := true, int64(0)
			for i := a; i < b; i++ {
				all = all && want[i]
				if want[i] {
					sum++
				}
			}
			if s.Covers(int64(a), int64(b)) != all || s.BytesIn(int64(a), int64(b)) != sum || s.Overlaps(int64(a), int64(b)) != (sum > 0) {
				t.Fatalf("queries of [%d,%d) on %v: covers %v, %d bytes", a, b, s.ext, all, sum)
			}
		}
	})
}

func TestFileAgainstBytes(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		const size = 40 * Page
		f := File{}
		if rapid.Bool().Draw(t, "disk") {
			f.Dir = dir
		}
		defer f.Close()
		want := make([]byte, size)
		var held Set
		space := int64(0)
		for i := range rapid.IntRange(1, 40).Draw(t, "ops") {
			off := rapid.IntRange(0, size-1).Draw(t, "off")
			end := min(size, off+rapid.IntRange(1, 5*Page).Draw(t, "len"))
			if rapid.Bool().Draw(t, "write") {
				cost := f.Cost(int64(off), int64(end))
				b := bytes.Repeat([]byte{byte(i + 1)}, end-off)
				grown, err := f.Write(b, int64(off))
				if err != nil || grown != cost {
					t.Fatalf("write: grew by %d, cost %d, %v", grown, cost, err)
				}
				copy(want[off:], b)
				held.Add(int64(off), int64(end))
				space += grown
			} else {
				held.Remove(int64(off), int64(end))
				freed, err := f.Punch(int64(off), int64(end), &held)
				if err != nil {
					t.Fatal(err)
				}
				clear(want[off:end])
				space -= freed
			}
			if f.Space() != space {
				t.Fatalf("space is %d, want %d", f.Space(), space)
			}
			pages := int64(0)
			for p := int64(0); p < size; p += Page {
				if held.Overlaps(p, p+Page) {
					pages += Page
				}
			}
			if space != pages {
				t.Fatalf("space is %d, pages in use %d", space, pages)
			}
			got := make([]byte, size+10)
			if n, err := f.ReadAt(got, 0); n != len(got) || err != nil {
				t.Fatal(n, err)
			}
			if !bytes.Equal(got[:size], want) {
				t.Fatal("content differs")
			}
		}
		if f.Reset() != space || f.Space() != 0 {
			t.Fatal("reset did not give all back")
		}
	})
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Fatalf("files left in the directory: %v, %v", left, err)
	}
}

// What Space says is what is taken, and what is given back goes to the system.
func TestPunchGivesBackMemory(t *testing.T) {
	var f, other File
	defer other.Close()
	if _, err := other.Write([]byte("x"), 0); err != nil {
		t.Fatal(err)
	}
	before := slabs.used
	taken := func() int64 { return int64(slabs.used-before) * Page }
	mapped := func() int { return len(slabs.open) + len(slabs.spare) }
	const size = 2 * maxSpare * slabSize
	if _, err := f.Write(make([]byte, size), 100); err != nil {
		t.Fatal(err)
	}
	if taken() != f.Space() || taken() != size+Page {
		t.Fatalf("%d taken, file says %d", taken(), f.Space())
	}
	var keep Set
	keep.Add(100, 200)
	if _, err := f.Punch(200, 100+size, &keep); err != nil {
		t.Fatal(err)
	}
	if f.Space() != Page || taken() != Page {
		t.Fatalf("after the punch %d taken, file says %d", taken(), f.Space())
	}
	if n := mapped(); n > maxSpare+2 {
		t.Errorf("%d slabs are still mapped", n)
	}
	f.Close()
	other.Close()
	if n := mapped(); slabs.used != 0 || n > 1 {
		t.Errorf("%d pages in use and %d slabs mapped after the last file", slabs.used, n)
	}
}

// A page that was another file's shows nothing of it.
func TestPagesComeBackEmpty(t *testing.T) {
	var a, b File
	defer b.Close()
	if _, err := a.Write(bytes.Repeat([]byte("secret"), 10*Page), 0); err != nil {
		t.Fatal(err)
	}
	a.Close()
	for i := range int64(30) {
		if _, err := b.Write([]byte("x"), i*Page+17); err != nil {
			t.Fatal(err)
		}
	}
	got := make([]byte, 30*Page)
	if _, err := b.ReadAt(got, 0); err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(got, []byte{0}); n != len(got)-30 {
		t.Errorf("%d bytes are not zero, 30 were written", len(got)-n)
	}
}
