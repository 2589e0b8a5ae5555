package fs

import (
	"context"
	"os"
	"sync"
	"syscall"
	"time"

	gofs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/pailfs/pailfs/fs/draft"
	"github.com/pailfs/pailfs/objstore"
)

// file is a regular file or a symbolic link (whose target is its content). As
// long as nothing changes it, it is one version of an object; a change from
// elsewhere makes a new node.
type file struct {
	gofs.Inode
	m     *mount
	place place // guarded by m.tree.mu
	busy  turn  // see doc.go

	mu        sync.Mutex
	attr      attr
	attrSeq   int64 // counts changes of attr
	attrSaved int64 // the attrSeq that the store has

	obj       objstore.Object  // what was committed last
	committed bool             // obj is in the store
	replaces  objstore.Version // of the object that the first commit replaces; "" for none
	private   bool             // obj lives under a private key, for those who still have the file open
	checked   time.Time        // when the store last said that obj is so
	savedAt   time.Time        // when we last changed the store

	draft     *draft.Draft // nil until something changes
	pending   *pending     // nil unless the journal has what the store has not
	forgotten bool         // by the kernel, while it was pending
	blank     bool         // no byte was written since it was created or emptied
	changedAt time.Time    // first change since the last commit
	clone     *clone       // a copy_file_range under way
	reader    *pinned      // nil until something is read

	handles, writers int
	passed           *os.File // what the kernel reads itself, while passers is not 0
	passers          int
	died             bool  // the last FLUSH came from a process that failed
	flushErr         error // of the last commit
	dead             error // detached: why
	stale            bool  // somebody else replaced the object: the name needs a new node
	baseLeft         bool  // the small object that the draft edits is still to be read
}

var (
	_ gofs.NodeGetattrer      = (*file)(nil)
	_ gofs.NodeSetattrer      = (*file)(nil)
	_ gofs.NodeOpener         = (*file)(nil)
	_ gofs.NodeReader         = (*file)(nil)
	_ gofs.NodeWriter         = (*file)(nil)
	_ gofs.NodeFlusher        = (*file)(nil)
	_ gofs.NodeFsyncer        = (*file)(nil)
	_ gofs.NodeReleaser       = (*file)(nil)
	_ gofs.NodeAllocater      = (*file)(nil)
	_ gofs.NodeReadlinker     = (*file)(nil)
	_ gofs.NodeCopyFileRanger = (*file)(nil)
	_ gofs.NodeStatfser       = (*file)(nil)
	_ gofs.NodeGetxattrer     = (*file)(nil)
	_ gofs.NodeSetxattrer     = (*file)(nil)
	_ gofs.NodeListxattrer    = (*file)(nil)
	_ gofs.NodeRemovexattrer  = (*file)(nil)
	_ gofs.NodeOnForgetter    = (*file)(nil)
)

// handle is one open file description.
type handle struct {
	write   bool
	passing bool
}

func (m *mount) newFile(parent *dir, name string) *file {
	f := &file{m: m, busy: newTurn()}
	f.place = place{parent: parent, name: name}
	return f
}

func (f *file) OnForget() {
	f.mu.Lock()
	f.forgotten = f.pending != nil // the name still leads here
	forgotten := f.forgotten
	f.mu.Unlock()
	if !forgotten {
		f.m.inos.free(f.StableAttr().Ino)
	}
	f.dropReader()
}

func (f *file) entryOut(out *fuse.EntryOut) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.attr.fill(&out.Attr)
}

func (f *file) isCommitted() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.committed
}

// isFresh reports whether the node need not be compared with the store.
func (f *file) isFresh() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead != nil || f.stale {
		return false
	}
	return f.draft != nil || time.Since(f.checked) < f.m.opt.AttrTTL
}

// adopt takes over what the store said of the object, if it still is the same
// thing; otherwise the name needs a new node.
func (f *file) adopt(e entry) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead != nil || f.private || f.stale {
		return false
	}
	if f.draft != nil || !f.savedAt.IsZero() && !e.asOf.After(f.savedAt) {
		return true // ours is newer
	}
	a := f.m.decodeAttr(e.obj, syscall.S_IFREG)
	if !f.committed || f.obj.Version != e.obj.Version || a.fileType() != f.attr.fileType() {
		return false
	}
	f.obj, f.attr, f.checked = e.obj, a, e.asOf
	return true
}

func (f *file) Getattr(_ context.Context, _ gofs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	unlinked := f.m.tree.isUnlinked(&f.place)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.attr.fill(&out.Attr)
	if unlinked {
		out.Nlink = 0
	}
	return 0
}

// restore takes back a change of attributes, the seq-th, that the store refused:
// the program was told that it failed.
func (f *file) restore(old attr, seq int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.attrSeq == seq && f.attrSaved != seq {
		old.size = f.attr.size
		f.attr = old
		f.attrSeq = seq - 1
		f.flushErr = nil
	}
}

// stamp fills in what go-fuse leaves out of the answer to a SETATTR: without it
// the kernel takes the inode number for 0, and asks again before each write.
func (m *mount) stamp(n gofs.InodeEmbedder, out *fuse.AttrOut) {
	out.Ino = n.EmbeddedInode().StableAttr().Ino
	out.SetTimeout(m.ttl())
}

// set applies what setattr(2) and its kind ask for, but for the size.
func (a *attr) set(in *fuse.SetAttrIn) {
	if mode, ok := in.GetMode(); ok {
		a.mode = a.mode&syscall.S_IFMT | mode&07777
	}
	if uid, ok := in.GetUID(); ok {
		a.uid = uid
	}
	if gid, ok := in.GetGID(); ok {
		a.gid = gid
	}
	if in.Valid&fuse.FATTR_KILL_SUIDGID != 0 {
		a.mode &^= syscall.S_ISUID | syscall.S_ISGID
	}
	if t, ok := in.GetMTime(); ok && !t.Equal(a.mtime) {
		a.mtime, a.mtimeSet = t, true
	}
	if t, ok := in.GetATime(); ok {
		a.atime = t
	}
	a.own = true
}

func (a *attr) sameAs(b *attr) bool {
	return a.mode == b.mode && a.uid == b.uid && a.gid == b.gid && a.mtime.Equal(b.mtime) &&
		a.mtimeSet == b.mtimeSet && a.atime.Equal(b.atime)
}

func (f *file) Setattr(ctx context.Context, _ gofs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	if f.m.opt.ReadOnly {
		return syscall.EROFS
	}
	size, resized := in.GetSize()
	if en := f.fixedAttr(); en != 0 && !resized {
		return en
	}
	ctx, cancel := killable(ctx)
	defer cancel()
	if err := f.settlePending(ctx); err != nil {
		return errno(err)
	}
	if resized {
		if err := f.truncate(ctx, int64(size)); err != nil {
			return errno(err)
		}
	}
	f.mu.Lock()
	old := f.attr
	f.attr.set(in)
	if f.fromClock(in) {
		f.attr.mtimeSet = false
	}
	changed := !f.attr.sameAs(&old)
	if changed {
		f.attr.ctime = time.Now()
		f.attrSeq++
	}
	// An open file with changes takes them along when it is committed.
	now := resized && f.writers == 0 || changed && f.draft == nil || changed && f.committed && !f.draft.Dirty()
	seq := f.attrSeq
	f.mu.Unlock()
	if now {
		commit := f.commitAttr
		if resized {
			commit = f.commit
		}
		if err := commit(ctx); err != nil {
			if resized {
				f.detach(err)
			} else {
				f.restore(old, seq)
			}
			return errno(err)
		}
		f.settle()
	}
	f.m.stamp(f, out)
	return f.Getattr(ctx, nil, out)
}

// fromClock reports whether the mtime was not chosen by a program: the kernel
// tells in this way, before it flushes, when the last write was. What a
// program sets comes with an atime, or lies outside the time of writing.
func (f *file) fromClock(in *fuse.SetAttrIn) bool {
	const of = fuse.FATTR_MTIME | fuse.FATTR_CTIME
	const not = fuse.FATTR_ATIME | fuse.FATTR_MODE | fuse.FATTR_UID | fuse.FATTR_GID
	t, ok := in.GetMTime()
	if !ok || in.Valid&of != of || in.Valid&not != 0 || f.draft == nil {
		return false
	}
	return t.After(f.changedAt.Add(-2*time.Second)) && t.Before(time.Now().Add(2*time.Second))
}

// Open checks nothing with the store: the LOOKUP before it did.
func (f *file) Open(ctx context.Context, flags uint32) (gofs.FileHandle, uint32, syscall.Errno) {
	h, openFlags, en := f.open(flags)
	if en != 0 {
		return nil, 0, en
	}
	fh, openFlags := f.pass(h, openFlags)
	return fh, openFlags, 0
}

func (f *file) open(flags uint32) (*handle, uint32, syscall.Errno) {
	h := &handle{write: flags&syscall.O_ACCMODE != syscall.O_RDONLY}
	if h.write && f.m.opt.ReadOnly {
		return nil, 0, syscall.EROFS
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead != nil || f.stale && f.draft == nil {
		return nil, 0, syscall.ESTALE // the kernel then looks the name up again
	}
	if en := f.refusesOpen(flags); en != 0 {
		return nil, 0, en
	}
	if h.write && f.passers > 0 {
		f.stale = true // what the kernel reads itself must not change: the name gets a new node
		return nil, 0, syscall.ESTALE
	}
	f.handles++
	if h.write {
		f.writers++
	}
	// A node is one version, so what the kernel has cached of it stays right.
	return h, fuse.FOPEN_KEEP_CACHE, 0
}

func (f *file) Readlink(ctx context.Context) ([]byte, syscall.Errno) {
	f.mu.Lock()
	size := f.attr.size
	f.mu.Unlock()
	if size > syscall.PathMax {
		return nil, syscall.EIO
	}
	ctx, cancel := killable(ctx)
	defer cancel()
	b := make([]byte, size)
	n, err := f.readAt(ctx, b, 0)
	if err != nil {
		return nil, errno(err)
	}
	f.settle()
	return b[:n], 0
}

// Statfs is asked of any node.
func (f *file) Statfs(ctx context.Context, out *fuse.StatfsOut) syscall.Errno {
	return f.m.root.Statfs(ctx, out)
}

// Modes of fallocate(2).
const (
	fallocKeepSize  = 0x01
	fallocPunchHole = 0x02
	fallocZeroRange = 0x10
)

// Allocate makes sure that the file is as long as asked; there is no space to
// reserve. Holes are zeros that are written. The other modes shift bytes, which
// objects cannot.
func (f *file) Allocate(ctx context.Context, fh gofs.FileHandle, off, size uint64, mode uint32) syscall.Errno {
	zero := mode&(fallocPunchHole|fallocZeroRange) != 0
	if mode&^(fallocKeepSize|fallocPunchHole|fallocZeroRange) != 0 {
		return syscall.EOPNOTSUPP
	}
	end := int64(off + size)
	was := f.size()
	if zero {
		if en := f.zero(ctx, fh, int64(off), min(end, was)); en != 0 {
			return en
		}
	}
	if mode&fallocKeepSize != 0 || end <= was {
		return 0
	}
	ctx, cancel := killable(ctx)
	defer cancel()
	return errno(f.truncate(ctx, end))
}

func (f *file) zero(ctx context.Context, fh gofs.FileHandle, off, end int64) syscall.Errno {
	zeros := make([]byte, 1<<20)
	for off < end {
		n, en := f.Write(ctx, fh, zeros[:min(end-off, int64(len(zeros)))], off)
		if en != 0 {
			return en
		}
		off += int64(n)
	}
	return 0
}
