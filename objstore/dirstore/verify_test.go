package dirstore

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/pailfs/pailfs/objstore"
)

// spoil changes a byte of a file as a bad disk does: its mtime stays.
func spoil(t *testing.T, path string, off int64) {
	t.Helper()
	st, err := os.Stat(path)
	check(t, err)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	check(t, err)
	one := make([]byte, 1)
	_, err = f.ReadAt(one, off)
	check(t, err)
	one[0] ^= 1
	_, err = f.WriteAt(one, off)
	check(t, err)
	check(t, f.Close())
	check(t, os.Chtimes(path, st.ModTime(), st.ModTime()))
}

func TestSpoiltBytesAreFound(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	body := bytes.Repeat([]byte("0123456789abcdef"), (run+1000)/16)
	put(t, s, "k", body, objstore.PutOptions{})
	spoil(t, filepath.Join(dir, "k"), run+5) // in the second run

	got, err := read(t, s, "k", objstore.All)
	wantKind(t, "whole", err, objstore.ErrChecksum)
	if len(got) >= len(body) {
		t.Error("all bytes were given before the error")
	}
	_, err = read(t, s, "k", objstore.Range{Off: run, Len: -1})
	wantKind(t, "the run alone", err, objstore.ErrChecksum)
	if got, err := read(t, s, "k", objstore.Range{Off: 0, Len: run}); err != nil || !bytes.Equal(got, body[:run]) {
		t.Errorf("the good run: %v", err)
	}

	// A copy keeps the sums, so it does not make bad bytes good.
	src, err := s.Copy(t.Context(), "copy", "k", objstore.CopyOptions{})
	check(t, err)
	_, err = read(t, s, "copy", objstore.All)
	wantKind(t, "copy", err, objstore.ErrChecksum)

	u, err := s.NewUpload(t.Context(), "u", objstore.PutOptions{})
	check(t, err)
	defer u.Abort(t.Context())
	err = u.(objstore.PartCopier).CopyPart(t.Context(), 1, "copy", src.Version, objstore.Range{Off: 0, Len: run + 1})
	wantKind(t, "part that cuts the bad run", err, objstore.ErrChecksum)
}

// Sums of copied ranges are those of the bytes, whatever the range cuts.
func TestCopiedRangesAreChecked(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	body := make([]byte, 2*run+777)
	for i := range body {
		body[i] = byte(i * 7 >> 3)
	}
	src := put(t, s, "src", body, objstore.PutOptions{})
	for _, r := range []objstore.Range{{Off: 0, Len: run}, {Off: 5, Len: 2 * run}, {Off: run - 1, Len: 3}, {Off: run, Len: -1}} {
		u, err := s.NewUpload(t.Context(), "dst", objstore.PutOptions{})
		check(t, err)
		check(t, u.PutPart(t.Context(), 1, section([]byte("head"))))
		check(t, u.(objstore.PartCopier).CopyPart(t.Context(), 2, "src", src.Version, r))
		_, err = u.Commit(t.Context(), 2)
		check(t, err)
		end := int64(len(body))
		if r.Len >= 0 {
			end = r.Off + r.Len
		}
		want := append([]byte("head"), body[r.Off:end]...)
		if got, err := read(t, s, "dst", objstore.All); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%+v: %d bytes, %v", r, len(got), err)
		}
		spoil(t, filepath.Join(dir, "dst"), int64(len(want)-1))
		_, err = read(t, s, "dst", objstore.All)
		wantKind(t, fmt.Sprint("spoilt ", r), err, objstore.ErrChecksum)
	}
}

// sidecarFile is the path of the sidecar of a file.
func sidecarFile(t *testing.T, s *Store, name string) string {
	t.Helper()
	n, err := statAt(s.root, name)
	check(t, err)
	shard, file := sidecarPath(n.ino)
	return filepath.Join(s.dir, private, "side", shard, file)
}

func TestDamagedSidecar(t *testing.T) {
	s := open(t, t.TempDir())
	o := put(t, s, "k", []byte("x"), objstore.PutOptions{Metadata: map[string]string{"a": "1"}})
	put(t, s, "l", []byte("x"), objstore.PutOptions{})
	check(t, os.WriteFile(sidecarFile(t, s, "k"), []byte("garbage\n"), 0o666))
	_, err := s.Stat(t.Context(), "k")
	wantKind(t, "stat", err, objstore.ErrChecksum)
	page, err := s.List(t.Context(), objstore.ListRequest{})
	check(t, err)
	if l := page.Objects; len(l) != 2 || l[0].MetadataKnown || l[0].Size != 1 || !l[1].MetadataKnown {
		t.Errorf("listed %+v", l)
	}
	put(t, s, "k", []byte("new"), objstore.PutOptions{Cond: objstore.Cond{Version: o.Version}})
	if got, err := read(t, s, "k", objstore.All); err != nil || string(got) != "new" {
		t.Errorf("after a new put: %q, %v", got, err)
	}
}

// A crash may leave a sidecar that was not finished, of a file that never got
// its name. A file that gets the inode number later has nothing to do with it.
func TestUnfinishedSidecarIsNone(t *testing.T) {
	s := open(t, t.TempDir())
	put(t, s, "k", []byte("x"), objstore.PutOptions{Metadata: map[string]string{"a": "1"}})
	for _, text := range []string{"", "12345678 {\"vers"} {
		check(t, os.WriteFile(sidecarFile(t, s, "k"), []byte(text), 0o666))
		if o, err := s.Stat(t.Context(), "k"); err != nil || len(o.Metadata) != 0 {
			t.Errorf("with %q: %+v, %v", text, o, err)
		}
	}
}

func TestWrongChecksumIsRefused(t *testing.T) {
	s := open(t, t.TempDir())
	wrong := objstore.PutOptions{Checksums: objstore.Checksums{SHA256: make([]byte, 32)}}
	_, err := s.Put(t.Context(), "k", section([]byte("x")), wrong)
	wantKind(t, "put", err, objstore.ErrChecksum)
	u, err := s.NewUpload(t.Context(), "k", wrong)
	check(t, err)
	check(t, u.PutPart(t.Context(), 1, section([]byte("x"))))
	_, err = u.Commit(t.Context(), 1)
	wantKind(t, "commit", err, objstore.ErrChecksum)
	check(t, u.Abort(t.Context()))
	wantKeys(t, s)
}
