package fs

import (
	"os"

	gofs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// passing is a handle whose reads the kernel answers from a file of the cache
// that holds the whole object, checked block by block. Where the kernel cannot
// (before 6.9, without CAP_SYS_ADMIN, with its writeback cache), reads come to
// us as ever.
//
// An inode is open in one way at a time: while one handle is passing all are,
// and the first is only where no other is open. The file is closed with the last.
type passing struct {
	*handle
	data *os.File
}

var _ gofs.FilePassthroughFder = (*passing)(nil)

// PassthroughFd is asked by go-fuse for the first handle of an inode alone.
func (p *passing) PassthroughFd() (int, bool) { return int(p.data.Fd()), true }

// handleOf is the handle behind what go-fuse gives.
func handleOf(fh gofs.FileHandle) *handle {
	if p, ok := fh.(*passing); ok {
		return p.handle
	}
	return fh.(*handle)
}

// passes reports whether this mount hands files of the cache to the kernel.
func (m *mount) passes() bool {
	return (m.opt.ReadOnly || m.opt.Passthrough) && m.opt.Cache.Persistent()
}

// pass turns a handle that was opened for reading into one that is passing, if
// that can be.
func (f *file) pass(h *handle, flags uint32) (gofs.FileHandle, uint32) {
	if h.write || !f.m.passes() {
		return h, flags
	}
	f.mu.Lock()
	obj, data := f.obj, f.passed
	try := data == nil && f.handles == 1 && f.draft == nil && f.committed && f.dead == nil
	f.mu.Unlock()
	if try {
		data = f.m.opt.Cache.Whole(obj)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.passed != nil: // another was faster
		if try && data != nil && data != f.passed {
			data.Close()
		}
	case data == nil:
		return h, flags
	case !try || f.handles != 1 || f.draft != nil || f.obj.Version != obj.Version:
		data.Close()
		return h, flags
	default:
		f.passed = data
	}
	h.passing = true
	f.passers++
	return &passing{h, f.passed}, flags &^ fuse.FOPEN_KEEP_CACHE
}

// unpass ends a handle. f.mu must be held.
func (f *file) unpass(h *handle) {
	if !h.passing {
		return
	}
	if f.passers--; f.passers == 0 {
		f.passed.Close()
		f.passed = nil
	}
}
