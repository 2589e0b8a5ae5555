package fs

import (
	"context"
	"syscall"

	gofs "github.com/hanwen/go-fuse/v2/fs"

	"github.com/pailfs/pailfs/fs/draft"
	"github.com/pailfs/pailfs/objstore"
)

// copyStep is how much one copy_file_range is told to have copied at the most:
// its result has 32 bits.
const copyStep = 1 << 30

// clone is a copy_file_range of a whole file under way: the draft already is
// the source, of which the program has been told so much.
type clone struct {
	src  objstore.Object
	told int64
}

// CopyFileRange copies a whole committed file inside the store: the empty file
// out becomes a draft over the object of in. What is not that goes back to the
// program (EXDEV, EOPNOTSUPP), which reads and writes instead.
func (f *file) CopyFileRange(ctx context.Context, _ gofs.FileHandle, offIn uint64, out *gofs.Inode, _ gofs.FileHandle, offOut, n, _ uint64) (uint32, syscall.Errno) {
	dst, ok := ops[*file](out)
	if !ok || dst == f || offIn != offOut {
		return 0, syscall.EOPNOTSUPP
	}
	if dst.m.opt.ReadOnly {
		return 0, syscall.EROFS
	}
	f.mu.Lock()
	src, clean := f.obj, f.committed && !f.private && f.dead == nil && (f.draft == nil || !f.draft.Dirty())
	f.mu.Unlock()
	if !clean {
		return 0, syscall.EOPNOTSUPP
	}
	dst.mu.Lock()
	defer dst.mu.Unlock()
	if dst.dead != nil {
		return 0, errno(dst.deadErrno())
	}
	switch {
	case offIn == 0 && dst.draft != nil && dst.blank && dst.attr.size == 0:
		if src.Size == 0 {
			return 0, 0
		}
		old := dst.draft
		dst.draft = dst.m.drafts.Clone(src)
		dst.draft.Start(dst.target)
		dst.clone, dst.blank = &clone{src: src}, false
		old.Discard()
	case dst.clone != nil && dst.clone.src.Key == src.Key && dst.clone.src.Version == src.Version && uint64(dst.clone.told) == offIn:
	default:
		return 0, syscall.EOPNOTSUPP
	}
	step := min(int64(min(n, copyStep)), src.Size-int64(offIn))
	dst.clone.told += step
	dst.attr.size = dst.clone.told
	return uint32(step), 0
}

// endClone cuts a draft that is a clone to what the program was told.
func (f *file) endClone(ctx context.Context, dr *draft.Draft) error {
	f.mu.Lock()
	c := f.clone
	f.clone = nil
	f.mu.Unlock()
	if c == nil || c.told == c.src.Size {
		return nil
	}
	return dr.Truncate(ctx, c.told)
}
