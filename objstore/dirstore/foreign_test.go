package dirstore

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/pailfs/pailfs/objstore"
)

func TestFilesOfOthers(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	check(t, os.MkdirAll(filepath.Join(dir, "full/deep"), 0o777))
	check(t, os.MkdirAll(filepath.Join(dir, "empty/inner"), 0o777))
	check(t, os.WriteFile(filepath.Join(dir, "full/deep/f"), []byte("foreign"), 0o666))
	wantKeys(t, s, "empty/inner/", "full/deep/f")
	o, err := s.Stat(t.Context(), "full/deep/f")
	if err != nil || o.Size != 7 || !o.MetadataKnown || len(o.Metadata) != 0 || o.Version == "" {
		t.Errorf("stat: %+v, %v", o, err)
	}
	_, err = s.Stat(t.Context(), "full/")
	wantKind(t, "stat of a full directory", err, objstore.ErrNotFound)
	if o, err := s.Stat(t.Context(), "empty/inner/"); err != nil || o.Size != 0 || !o.MetadataKnown {
		t.Errorf("stat of an empty directory: %+v, %v", o, err)
	}
	check(t, s.Delete(t.Context(), "none", objstore.Cond{}))
	if _, err := os.Stat(filepath.Join(dir, private)); !os.IsNotExist(err) {
		t.Errorf("reading made the private directory: %v", err)
	}

	// Metadata can be given to a file of others.
	_, err = s.Copy(t.Context(), "full/deep/f", "full/deep/f", objstore.CopyOptions{Metadata: map[string]string{"b": "2"}})
	check(t, err)
	if o, err := s.Stat(t.Context(), "full/deep/f"); err != nil || o.Metadata["b"] != "2" || o.Size != 7 {
		t.Errorf("rewritten: %+v, %v", o, err)
	}
}

// Renamed by another program, an object keeps its metadata; written to, it is a
// file of others.
func TestOthersChangeOurFiles(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	put(t, s, "ours", []byte("ours"), objstore.PutOptions{Metadata: map[string]string{"a": "1"}})
	moved := filepath.Join(dir, "moved")
	check(t, os.Rename(filepath.Join(dir, "ours"), moved))
	if o, err := s.Stat(t.Context(), "moved"); err != nil || o.Metadata["a"] != "1" {
		t.Errorf("moved: %+v, %v", o, err)
	}
	f, err := os.OpenFile(moved, os.O_APPEND|os.O_WRONLY, 0)
	check(t, err)
	_, err = f.WriteString(" and theirs")
	check(t, err)
	check(t, f.Close())
	if o, err := s.Stat(t.Context(), "moved"); err != nil || len(o.Metadata) != 0 {
		t.Errorf("changed: %+v, %v", o, err)
	}
	if got, err := read(t, s, "moved", objstore.All); err != nil || string(got) != "ours and theirs" {
		t.Errorf("changed: %q, %v", got, err)
	}
}

// A snapshot by hard links keeps its metadata when the object is replaced.
func TestHardLinkKeepsItsSidecar(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	put(t, s, "k", []byte("old"), objstore.PutOptions{Metadata: map[string]string{"a": "1"}})
	check(t, os.Link(filepath.Join(dir, "k"), filepath.Join(dir, "snapshot")))
	put(t, s, "k", []byte("new"), objstore.PutOptions{})
	if o, err := s.Stat(t.Context(), "snapshot"); err != nil || o.Metadata["a"] != "1" {
		t.Errorf("replaced: %+v, %v", o, err)
	}
	// rename(2) leaves two names of one file alone; ours may not.
	check(t, os.Link(filepath.Join(dir, "snapshot"), filepath.Join(dir, "again")))
	_, err := s.Rename(t.Context(), "again", "snapshot", objstore.CopyOptions{})
	check(t, err)
	wantKeys(t, s, "again", "k")
}

func TestNoKeyLeadsOutside(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	secret := filepath.Join(outside, "secret")
	check(t, os.WriteFile(secret, []byte("secret"), 0o666))
	check(t, os.Symlink(outside, filepath.Join(dir, "out")))
	check(t, os.Symlink(secret, filepath.Join(dir, "file")))
	check(t, os.Symlink(".", filepath.Join(dir, "loop")))
	s := open(t, dir)
	ctx := t.Context()
	wantKeys(t, s)
	for _, key := range []string{"out/secret", "file", "loop/file", "out/", "out"} {
		_, err := s.Stat(ctx, key)
		wantKind(t, "stat "+key, err, objstore.ErrNotFound)
		_, _, err = s.Get(ctx, key, objstore.All, objstore.Cond{})
		wantKind(t, "get "+key, err, objstore.ErrNotFound)
		_, err = s.Put(ctx, key, section(nil), objstore.PutOptions{})
		wantKind(t, "put "+key, err, objstore.ErrUnsupported)
		check(t, s.Delete(ctx, key, objstore.Cond{}))
	}
	put(t, s, "src", []byte("x"), objstore.PutOptions{})
	_, err := s.Rename(ctx, "out/stolen", "src", objstore.CopyOptions{})
	wantKind(t, "rename", err, objstore.ErrUnsupported)
	page, err := s.List(ctx, objstore.ListRequest{Prefix: "out/"})
	if err != nil || len(page.Objects) != 0 {
		t.Errorf("list: %+v, %v", page, err)
	}
	left, err := os.ReadDir(outside)
	if err != nil || len(left) != 1 {
		t.Errorf("outside: %v, %v", left, err)
	}
	for _, key := range []string{private, private + "/", private + "/lock/00", "../" + filepath.Base(outside) + "/secret"} {
		_, err := s.Stat(ctx, key)
		wantKind(t, "stat "+key, err, objstore.ErrUnsupported)
	}
}

func TestEmptyDirectoriesGo(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	ctx := t.Context()
	wantGone := func(name string) {
		t.Helper()
		if _, err := os.Stat(filepath.Join(dir, name)); !os.IsNotExist(err) {
			t.Errorf("%s is still there: %v", name, err)
		}
	}
	put(t, s, "a/b/c/k", nil, objstore.PutOptions{})
	put(t, s, "a/m/", nil, objstore.PutOptions{})
	put(t, s, "a/m/n/k", nil, objstore.PutOptions{})
	check(t, s.Delete(ctx, "a/b/c/k", objstore.Cond{}))
	wantGone("a/b")
	check(t, s.Delete(ctx, "a/m/n/k", objstore.Cond{}))
	wantKeys(t, s, "a/m/")
	check(t, s.Delete(ctx, "a/m/", objstore.Cond{}))
	wantKeys(t, s)
	wantGone("a")
	_, err := s.Put(ctx, "x/y/k", section(nil), objstore.PutOptions{Cond: objstore.Cond{Version: "none"}})
	wantKind(t, "put", err, objstore.ErrCond)
	wantGone("x")
}

// A long directory is listed in pages that go on where the last one ended.
func TestLongDirectory(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	const n = maxPage + 50
	for i := range n {
		check(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("f%05d", i)), nil, 0o666))
	}
	for _, most := range []int{0, 999} {
		got := 0
		for page, err := range objstore.ListPages(t.Context(), s, objstore.ListRequest{Max: most}) {
			check(t, err)
			for _, o := range page.Objects {
				if want := fmt.Sprintf("f%05d", got); o.Key != want {
					t.Fatalf("%q, want %q", o.Key, want)
				}
				got++
			}
		}
		if got != n {
			t.Errorf("%d objects by %d", got, most)
		}
	}
	if len(s.lists.held) != 0 {
		t.Errorf("%d snapshots are kept after the listing", len(s.lists.held))
	}
}

func TestMissingDirectory(t *testing.T) {
	_, err := Open(filepath.Join(t.TempDir(), "none"))
	wantKind(t, "open", err, objstore.ErrNotFound)
	file := filepath.Join(t.TempDir(), "f")
	check(t, os.WriteFile(file, nil, 0o666))
	_, err = Open(file)
	wantKind(t, "open of a file", err, objstore.ErrNotFound)
}
