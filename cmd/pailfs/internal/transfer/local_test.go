package transfer

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/faultstore"
	"github.com/pailfs/pailfs/objstore/memstore"
)

// fetcher copies into a directory of plain files, one part at a time.
func fetcher(t *testing.T, src objstore.Store) (c *Copier, dir string) {
	t.Helper()
	dir = t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	right := func(io.Reader, objstore.Checksums) error { return nil }
	return &Copier{
		Src: src, Dst: memstore.New(memstore.Options{}), Parallel: 1, part: unit,
		Local: &Local{Root: root, Source: "mem://a", Check: right},
	}, dir
}

// broken fetches with the connection lost after two parts.
func broken(t *testing.T, c *Copier, faults *faultstore.Faults, o objstore.Object, dst string) {
	t.Helper()
	remove := faults.Add(faultstore.Rule{Op: faultstore.Get, Skip: 2, Err: objstore.ErrTransient})
	defer remove()
	if _, err := c.Copy(t.Context(), o, dst); !errors.Is(err, objstore.ErrTransient) {
		t.Fatalf("broken off: %v", err)
	}
	if _, err := os.Stat(filepath.Join(c.Local.Root.Name(), dst)); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("half a file has its name: %v", err)
	}
}

func gets(f *faultstore.Faults) int { return f.Count(faultstore.Get, "") }

// A copy into a file that was broken off goes on with the parts that are not
// there, or not as they were written, and with none of another object.
func TestFetchGoesOn(t *testing.T) {
	spoil := func(name string, f func(path string) error) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := f(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, c := range map[string]struct {
		spoil func(t *testing.T, dir string)
		other string // another source
		gets  int    // of 4 parts, the second time
	}{
		"rest":         {gets: 2},
		"other source": {other: "mem://b", gets: 4},
		"part lost": {spoil: spoil("d/f"+PartSuffix, func(path string) error {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteAt(make([]byte, 10), unit+7)
			return errors.Join(err, f.Close())
		}), gets: 3},
		"file lost": {spoil: spoil("d/f"+PartSuffix, os.Remove), gets: 4},
		"journal torn": {spoil: spoil("d/f"+journalSuffix, func(path string) error {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return os.WriteFile(path, text[:len(text)-3], 0o600)
		}), gets: 3},
		"journal spoilt": {spoil: spoil("d/f"+journalSuffix, func(path string) error { return os.WriteFile(path, []byte("{}\n0 1\n"), 0o600) }), gets: 4},
	} {
		t.Run(name, func(t *testing.T) {
			src, faults := faultstore.Wrap(memstore.New(memstore.Options{}))
			copier, dir := fetcher(t, src)
			want := noise(3*unit + 5)
			o := put(t, src, "a", want)
			broken(t, copier, faults, o, "d/f")
			if c.spoil != nil {
				c.spoil(t, dir)
			}
			if c.other != "" {
				copier.Local.Source = c.other
			}
			before := gets(faults)
			if copied, err := copier.Copy(t.Context(), o, "d/f"); !copied || err != nil {
				t.Fatalf("again: %v, %v", copied, err)
			}
			if n := gets(faults) - before; n != c.gets {
				t.Errorf("%d parts were fetched, want %d", n, c.gets)
			}
			if got, err := os.ReadFile(filepath.Join(dir, "d/f")); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			if left, err := os.ReadDir(filepath.Join(dir, "d")); err != nil || len(left) != 1 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

// An object that was replaced in between is fetched anew, never mixed.
func TestFetchOfAnother(t *testing.T) {
	src, faults := faultstore.Wrap(memstore.New(memstore.Options{}))
	c, dir := fetcher(t, src)
	broken(t, c, faults, put(t, src, "a", noise(3*unit+5)), "f")
	want := bytes.Repeat([]byte("new "), unit/2+1)
	if _, err := c.Copy(t.Context(), put(t, src, "a", want), "f"); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "f")); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// What is not what the provider has of it does not get its name, and is not used
// again.
func TestFetchIsChecked(t *testing.T) {
	src, faults := faultstore.Wrap(memstore.New(memstore.Options{}))
	c, dir := fetcher(t, src)
	o := put(t, src, "a", noise(2*unit))
	right := c.Local.Check
	c.Local.Check = func(io.Reader, objstore.Checksums) error { return errors.New("differs") }
	if _, err := c.Copy(t.Context(), o, "f"); !errors.Is(err, objstore.ErrChecksum) {
		t.Errorf("another sum: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "f")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it has its name: %v", err)
	}
	c.Local.Check = right
	before := gets(faults)
	if _, err := c.Copy(t.Context(), o, "f"); err != nil || gets(faults)-before != 2 {
		t.Errorf("again: %v, %d parts fetched", err, gets(faults)-before)
	}
}

// Keys do not lead out of the directory, and what is there is not harmed.
func TestFetchStaysInside(t *testing.T) {
	src := memstore.New(memstore.Options{})
	c, dir := fetcher(t, src)
	outside := t.TempDir()
	for name, target := range map[string]string{"out": outside, "link": filepath.Join(outside, "x")} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "directory"), 0o755); err != nil {
		t.Fatal(err)
	}
	o := put(t, src, "a", noise(unit+1))
	for _, dst := range []string{"../x", "/x", "a//b", "a/../../x", "out/x", "link", "directory", ""} {
		if copied, err := c.Copy(t.Context(), o, dst); copied || err == nil {
			t.Errorf("to %q: %v, %v", dst, copied, err)
		}
	}
	if left, err := os.ReadDir(outside); err != nil || len(left) != 0 {
		t.Errorf("outside: %v, %v", left, err)
	}
	c.Absent = true
	if _, err := c.Copy(t.Context(), o, "new"); err != nil {
		t.Error(err)
	}
	if _, err := c.Copy(t.Context(), o, "new"); !errors.Is(err, objstore.ErrCond) {
		t.Errorf("onto a file: %v", err)
	}
}

// Two copies to one file do not write into each other's.
func TestFetchTwice(t *testing.T) {
	gate := faultstore.NewGate()
	src, faults := faultstore.Wrap(memstore.New(memstore.Options{}))
	c, _ := fetcher(t, src)
	o := put(t, src, "a", noise(unit+1))
	faults.Add(faultstore.Rule{Op: faultstore.Get, Gate: gate})
	first := make(chan error)
	go func() {
		_, err := c.Copy(t.Context(), o, "f")
		first <- err
	}()
	if err := gate.Await(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Copy(t.Context(), o, "f"); err == nil {
		t.Error("a second copy began")
	}
	gate.Release()
	if err := <-first; err != nil {
		t.Error(err)
	}
}

// With Preserve a file has the modes and the time that its object tells of, as far as
// they are those of a file.
func TestFetchPreserves(t *testing.T) {
	src := memstore.New(memstore.Options{})
	c, dir := fetcher(t, src)
	c.Preserve = true
	for name, tt := range map[string]struct {
		size     int
		metadata map[string]string
		mode     os.FileMode
		mtime    int64 // 0: that of the object
	}{
		"large":   {unit + 1, map[string]string{"mode": "33188", "mtime": "1600000000.5"}, 0o644, 1600000000},
		"setuid":  {unit + 1, map[string]string{"mode": "36333"}, 0o755, 0},
		"link":    {unit + 1, map[string]string{"mode": "41471", "mtime": "1"}, 0o666, 1},
		"garbage": {unit + 1, map[string]string{"mode": "rw", "mtime": "soon"}, 0o666, 0},
	} {
		o, err := src.Put(t.Context(), name, io.NewSectionReader(bytes.NewReader(noise(tt.size)), 0, int64(tt.size)), objstore.PutOptions{Metadata: tt.metadata})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Copy(t.Context(), o, name); err != nil {
			t.Fatal(err)
		}
		fi, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		want := tt.mtime
		if want == 0 {
			want = o.ModTime.Unix()
		}
		mode := fi.Mode()
		if tt.mode == 0o666 { // less what umask(2) takes
			mode |= 0o022
		}
		if mode != tt.mode || fi.ModTime().Unix() != want {
			t.Errorf("%s: %v, %v", name, fi.Mode(), fi.ModTime())
		}
	}
}
