package fs

import (
	"context"
	"errors"
	"io"
	"syscall"
	"time"

	gofs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/pailfs/pailfs/fs/draft"
	"github.com/pailfs/pailfs/fs/prefetch"
	"github.com/pailfs/pailfs/fs/readahead"
	"github.com/pailfs/pailfs/objstore"
)

// Read also comes for handles that were opened for writing only: the kernel
// fills the rest of a page before it changes some bytes of it.
func (f *file) Read(ctx context.Context, _ gofs.FileHandle, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	ctx, cancel := killable(ctx)
	defer cancel()
	n, err := f.readAt(ctx, dest, off)
	if err != nil {
		f.m.log.Error("read failed", "key", f.m.tree.path(&f.place), "offset", off, "err", err)
		return nil, errno(err)
	}
	return fuse.ReadResultData(dest[:n]), 0
}

// readAt reads from the draft if there is one, else from the object. It is
// short only at the end of the file.
func (f *file) readAt(ctx context.Context, b []byte, off int64) (int, error) {
	for {
		f.mu.Lock()
		dr, dead := f.draft, f.dead
		small := f.reader == nil && f.obj.Size <= prefetch.MaxSize
		p := f.pin()
		f.mu.Unlock()
		if small && p != nil {
			f.readNext()
		}
		if dead != nil {
			return 0, syscall.ESTALE
		}
		var n int
		var err error
		if dr != nil {
			n, err = dr.ReadAt(ctx, b, off)
		} else {
			n, err = p.r.ReadAt(ctx, b, off)
		}
		p.unpin()
		if err == nil || errors.Is(err, io.EOF) {
			return n, nil
		}
		f.mu.Lock()
		moved := dr == nil && (f.reader != p || f.draft != nil)
		f.mu.Unlock()
		if moved {
			continue
		}
		if dr == nil && (errors.Is(err, objstore.ErrCond) || errors.Is(err, objstore.ErrNotFound)) {
			f.outdate()
			return 0, syscall.ESTALE
		}
		return 0, err
	}
}

// outdate makes the next look at the name ask the store: somebody else has
// replaced the object.
func (f *file) outdate() {
	f.mu.Lock()
	f.stale = true
	f.mu.Unlock()
	parent, _ := f.m.tree.at(&f.place)
	parent.mu.Lock()
	parent.known = nil
	parent.mu.Unlock()
}

// pinned is a reader of one version, shared by the reads that are under way.
type pinned struct {
	r       *readahead.Reader
	f       *file
	users   int // guarded by f.mu
	retired bool
}

// pin takes the reader of the committed object, or nil. f.mu must be held.
func (f *file) pin() *pinned {
	if f.draft != nil {
		return nil
	}
	if f.reader == nil {
		f.reader = &pinned{r: f.m.reads.Open(f.obj), f: f}
	}
	f.reader.users++
	return f.reader
}

func (p *pinned) unpin() {
	if p == nil {
		return
	}
	p.f.mu.Lock()
	p.users--
	last := p.retired && p.users == 0
	p.f.mu.Unlock()
	if last {
		p.r.Close()
	}
}

// dropReader lets go of the reader: its object is not the content any more, or
// nobody has the file open.
func (f *file) dropReader() {
	f.mu.Lock()
	p := f.reader
	f.reader = nil
	last := false
	if p != nil {
		p.retired = true
		last = p.users == 0
	}
	f.mu.Unlock()
	if last {
		p.r.Close()
	}
}

// writable gives the draft to change, making one if need be.
func (f *file) writable() (*draft.Draft, error) {
	f.mu.Lock()
	if f.dead != nil {
		defer f.mu.Unlock()
		return nil, f.deadErrno()
	}
	if f.passers > 0 {
		defer f.mu.Unlock()
		f.stale = true
		return nil, syscall.ESTALE // as in open
	}
	if dr := f.draft; dr != nil {
		if !dr.Dirty() {
			f.changedAt = time.Now()
		}
		f.mu.Unlock()
		return dr, nil
	}
	f.mu.Unlock()
	parent, name := f.m.tree.at(&f.place)
	parent.mu.Lock()
	defer parent.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fixed() {
		return nil, syscall.EEXIST
	}
	if f.draft == nil {
		f.draft = f.m.editDraft(f)
		f.baseLeft = f.obj.Size > 0 && f.obj.Size <= smallBase
		f.changedAt = time.Now()
		if !f.m.tree.isUnlinked(&f.place) {
			parent.local[name] = f
		}
	}
	return f.draft, nil
}

// smallBase is the size up to which an object that is changed is read before
// the first change, in bytes. The commit would have to read it anyway; this way
// the whole content is at hand should somebody else replace the object.
const smallBase = 8 << 20

// readBase makes the bytes of a small object part of the draft.
func (f *file) readBase(ctx context.Context, dr *draft.Draft) error {
	f.mu.Lock()
	left := f.baseLeft
	f.mu.Unlock()
	if !left {
		return nil
	}
	if err := f.busy.lock(ctx); err != nil {
		return err
	}
	defer f.busy.unlock()
	f.mu.Lock()
	left, size := f.baseLeft, min(f.obj.Size, dr.Size())
	f.mu.Unlock()
	if !left {
		return nil
	}
	b := make([]byte, size)
	n, err := dr.ReadAt(ctx, b, 0)
	if err == nil || errors.Is(err, io.EOF) {
		err = dr.WriteAt(ctx, b[:n], 0)
	}
	f.mu.Lock()
	f.baseLeft = false
	f.mu.Unlock()
	if errors.Is(err, objstore.ErrCond) || errors.Is(err, objstore.ErrNotFound) {
		return nil // replaced already: the commit will tell
	}
	return err
}

// deadErrno is what calls on a detached file end with. f.mu must be held.
func (f *file) deadErrno() error {
	if errors.Is(f.dead, objstore.ErrCond) {
		return syscall.ESTALE
	}
	return errno(f.dead)
}

func (f *file) Write(ctx context.Context, _ gofs.FileHandle, data []byte, off int64) (uint32, syscall.Errno) {
	ctx, cancel := killable(ctx)
	defer cancel()
	if err := f.settlePending(ctx); err != nil {
		return 0, errno(err)
	}
	dr, err := f.writable()
	if err != nil {
		return f.told(len(data), err)
	}
	if err := f.endClone(ctx, dr); err != nil {
		return 0, errno(err)
	}
	err = f.readBase(ctx, dr)
	if err == nil {
		err = dr.WriteAt(ctx, data, off)
	}
	if err != nil {
		f.poison(err)
		return f.told(len(data), err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.blank, f.died = false, false
	f.attr.size = dr.Size()
	if !f.m.opt.Writeback { // else the kernel tells
		f.attr.mtime, f.attr.mtimeSet = time.Now(), false
	}
	return uint32(len(data)), 0
}

// told is the answer to a WRITE of n bytes that failed. With its write-back cache
// the kernel makes EIO of any error, and does not ask again at close: that the file
// is too large is told there.
func (f *file) told(n int, err error) (uint32, syscall.Errno) {
	e := errno(err)
	if f.m.opt.Writeback && e == syscall.EFBIG {
		return uint32(n), 0
	}
	return 0, e
}

func (f *file) truncate(ctx context.Context, size int64) error {
	if err := f.settlePending(ctx); err != nil {
		return err
	}
	dr, err := f.writable()
	if err != nil {
		return err
	}
	if err := f.endClone(ctx, dr); err != nil {
		return err
	}
	if err := dr.Truncate(ctx, size); err != nil {
		f.poison(err)
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.attr.size, f.died = size, false
	f.blank = size == 0
	f.baseLeft = f.baseLeft && size > 0
	return nil
}

// poison is what a failed write does to the file: nothing of what was written
// since the last commit is ever published.
func (f *file) poison(err error) {
	f.m.log.Error("write failed: nothing of it will be published",
		"key", f.m.tree.path(&f.place), "err", err)
	f.detach(err)
}
