package fs

import (
	"context"
	"strings"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/pailfs/pailfs/objstore/faultstore"
)

// The kernel writes back the mtime of a file at any time, which gives the object
// a new version. A change of the content that began before that is no conflict.
func TestChangeDuringAttributeRewrite(t *testing.T) {
	m, faults := counting(t, Options{})
	old := strings.Repeat("0123456789abcdef", 20<<20/16)
	m.put("f", old, nil)
	m.sh("ls -l f")
	ctx, f := context.Background(), m.server.m.root.fileNamed("f")

	gate := faultstore.NewGate()
	faults.Add(faultstore.Rule{Op: faultstore.Copy, Count: 1, Gate: gate})
	rewritten := make(chan syscall.Errno)
	go func() {
		in := &fuse.SetAttrIn{}
		in.Valid, in.Mtime, in.Atime = fuse.FATTR_MTIME|fuse.FATTR_ATIME, 1e9, 1e9
		rewritten <- f.Setattr(ctx, nil, in, &fuse.AttrOut{})
	}()
	if err := gate.Await(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	h, _, en := f.open(syscall.O_RDWR)
	if en != 0 {
		t.Fatal(en)
	}
	if _, en := f.Write(ctx, h, []byte("X"), 10<<20); en != 0 {
		t.Fatal(en)
	}
	gate.Release()
	if en := <-rewritten; en != 0 {
		t.Fatalf("setattr: %v", en)
	}
	if en := f.Flush(ctx, h); en != 0 {
		t.Errorf("flush: %v", en)
	}
	f.Release(ctx, h)
	m.wantObject("f", old[:10<<20]+"X"+old[10<<20+1:])
}

// The mtime that the kernel writes back must not publish what a program has just
// begun to write.
func TestAttributeRewritePublishesNoHalf(t *testing.T) {
	m, _ := counting(t, Options{})
	m.put("f", "old", nil)
	m.sh("ls -l f")
	ctx, f := context.Background(), m.server.m.root.fileNamed("f")
	if err := f.busy.lock(ctx); err != nil {
		t.Fatal(err)
	}
	rewritten := make(chan syscall.Errno)
	go func() {
		in := &fuse.SetAttrIn{}
		in.Valid, in.Mtime, in.Atime = fuse.FATTR_MTIME|fuse.FATTR_ATIME, 1e9, 1e9
		rewritten <- f.Setattr(ctx, nil, in, &fuse.AttrOut{})
	}()
	m.waitFor(func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.attrSeq > f.attrSaved
	})
	h, _, en := f.open(syscall.O_WRONLY)
	if en != 0 {
		t.Fatal(en)
	}
	if err := f.truncate(ctx, 0); err != nil { // open(2) with O_TRUNC
		t.Fatal(err)
	}
	f.busy.unlock()
	if en := <-rewritten; en != 0 {
		t.Fatalf("setattr: %v", en)
	}
	m.wantObject("f", "old")
	if _, en := f.Write(ctx, h, []byte("whole"), 0); en != 0 {
		t.Fatal(en)
	}
	if en := f.Flush(ctx, h); en != 0 {
		t.Errorf("flush: %v", en)
	}
	f.Release(ctx, h)
	m.wantObject("f", "whole")
	if o, err := m.store.Stat(ctx, "f"); err != nil || o.Metadata["mtime"] == "" {
		t.Errorf("%+v, %v: the time is lost", o, err)
	}
}
