package fs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"syscall"
	"time"

	gofs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/pailfs/pailfs/fs/keypath"
	"github.com/pailfs/pailfs/objstore"
)

func emptyBody() *io.SectionReader { return io.NewSectionReader(bytes.NewReader(nil), 0, 0) }

// begin is what every call that changes a directory does first: whether it is
// allowed, a context, and a lease on the directory. prefix is the directory's.
func (d *dir) begin(ctx context.Context, name string) (c context.Context, prefix string, end func(), en syscall.Errno) {
	if d.m.opt.ReadOnly {
		return nil, "", nil, syscall.EROFS
	}
	if len(name) > keypath.MaxName {
		return nil, "", nil, syscall.ENAMETOOLONG
	}
	if d.m.tree.isUnlinked(&d.place) {
		return nil, "", nil, syscall.ENOENT
	}
	c, cancel := killable(ctx)
	prefix, release, err := d.m.tree.leaseIn(c, d)
	if err != nil {
		cancel()
		return nil, "", nil, errno(err)
	}
	end = func() { release(); cancel() }
	if !keypath.Shown(prefix, name) {
		end()
		return nil, "", nil, syscall.EPERM
	}
	if len(prefix)+len(name)+1 > keypath.MaxKey {
		end()
		return nil, "", nil, syscall.ENAMETOOLONG
	}
	return c, prefix, end, 0
}

// newAttr are the attributes of what the caller creates.
func newAttr(ctx context.Context, mode uint32) attr {
	now := time.Now()
	a := attr{mode: mode, mtime: now, ctime: now, own: true}
	if c, ok := fuse.FromContext(ctx); ok {
		a.uid, a.gid = c.Uid, c.Gid
	}
	return a
}

func (d *dir) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*gofs.Inode, syscall.Errno) {
	a := newAttr(ctx, mode&07777|syscall.S_IFDIR)
	c, prefix, end, en := d.begin(ctx, name)
	if en != 0 {
		return nil, en
	}
	defer end()
	d.inheritGroup(&a)
	sub := d.m.newDir(d, name)
	err := sub.putMarker(c, keypath.Dir(prefix, name), a, objstore.Cond{Absent: true})
	if errors.Is(err, objstore.ErrCond) {
		return nil, syscall.EEXIST
	}
	if err != nil {
		return nil, errno(err)
	}
	now := time.Now()
	sub.known = &listing{at: now, until: now.Add(d.m.opt.AttrTTL), entries: map[string]entry{}}
	d.noteDir(name)
	d.newInode(ctx, sub, keypath.Dir(prefix, name), syscall.S_IFDIR)
	sub.entryOut(out)
	return sub.EmbeddedInode(), 0
}

// inheritGroup gives what is created in a set-group-id directory its group.
func (d *dir) inheritGroup(a *attr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.attr.mode&syscall.S_ISGID == 0 {
		return
	}
	a.gid = d.attr.gid
	if a.fileType() == syscall.S_IFDIR {
		a.mode |= syscall.S_ISGID
	}
}

func (d *dir) Rmdir(ctx context.Context, name string) syscall.Errno {
	if d.m.opt.NoDelete {
		return syscall.EPERM
	}
	c, prefix, end, en := d.begin(ctx, name)
	if en != 0 {
		return en
	}
	defer end()
	sub, _ := ops[*dir](d.GetChild(name))
	if sub != nil && sub.hasLocal() {
		return syscall.ENOTEMPTY
	}
	marker := keypath.Dir(prefix, name)
	empty, err := d.m.isEmpty(c, marker)
	if err != nil {
		return errno(err)
	}
	if !empty {
		return syscall.ENOTEMPTY
	}
	if err := d.keep(c, prefix); err != nil {
		return errno(err)
	}
	if err := d.m.store.Delete(c, marker, objstore.Cond{}); err != nil {
		return errno(err)
	}
	if sub != nil {
		d.m.tree.unlink(&sub.place)
	}
	d.noteGone(name)
	return 0
}

func (d *dir) hasLocal() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.local) > 0
}

// isEmpty asks whether anything but the marker is below a prefix.
func (m *mount) isEmpty(ctx context.Context, prefix string) (bool, error) {
	page, err := m.store.List(ctx, objstore.ListRequest{Prefix: prefix, Delim: "/", Max: 2})
	if err != nil {
		return false, err
	}
	for _, o := range page.Objects {
		if o.Key != prefix {
			return false, nil
		}
	}
	return len(page.Prefixes) == 0, nil
}

// Create makes a file that nobody but this mount sees until it is committed.
func (d *dir) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*gofs.Inode, gofs.FileHandle, uint32, syscall.Errno) {
	f, en := d.newLocal(ctx, name, mode&07777|syscall.S_IFREG)
	if en != 0 {
		return nil, nil, 0, en
	}
	// Whoever makes a file writes it, if only that it is there.
	h, openFlags, en := f.open(flags&^syscall.O_ACCMODE | syscall.O_RDWR)
	if en != 0 {
		return nil, nil, 0, en
	}
	f.entryOut(out)
	return f.EmbeddedInode(), h, openFlags, 0
}

// newLocal makes a file with an empty draft.
func (d *dir) newLocal(ctx context.Context, name string, mode uint32) (*file, syscall.Errno) {
	a := newAttr(ctx, mode)
	_, prefix, end, en := d.begin(ctx, name)
	if en != 0 {
		return nil, en
	}
	defer end()
	d.inheritGroup(&a)
	f := d.m.newFile(d, name)
	f.attr, f.blank, f.changedAt = a, true, a.mtime
	f.draft = d.m.newDraft(f)
	d.newInode(ctx, f, keypath.File(prefix, name), a.fileType())
	d.mu.Lock()
	d.local[name] = f
	d.mu.Unlock()
	return f, 0
}

// Mknod makes regular files; an object cannot be a device or a socket.
func (d *dir) Mknod(ctx context.Context, name string, mode, dev uint32, out *fuse.EntryOut) (*gofs.Inode, syscall.Errno) {
	if t := mode & syscall.S_IFMT; t != 0 && t != syscall.S_IFREG {
		return nil, syscall.EPERM
	}
	f, en := d.newLocal(ctx, name, mode&07777|syscall.S_IFREG)
	if en != 0 {
		return nil, en
	}
	return d.saveNew(ctx, f, out)
}

// saveNew commits a file that nobody has open.
func (d *dir) saveNew(ctx context.Context, f *file, out *fuse.EntryOut) (*gofs.Inode, syscall.Errno) {
	c, cancel := killable(ctx)
	defer cancel()
	err := f.commit(c)
	if err != nil {
		f.detach(err)
		if errors.Is(err, objstore.ErrCond) {
			return nil, syscall.EEXIST
		}
		return nil, errno(err)
	}
	f.settle()
	f.entryOut(out)
	return f.EmbeddedInode(), 0
}

func (d *dir) Symlink(ctx context.Context, target, name string, out *fuse.EntryOut) (*gofs.Inode, syscall.Errno) {
	f, en := d.newLocal(ctx, name, 0777|syscall.S_IFLNK)
	if en != 0 {
		return nil, en
	}
	// Not under ctx: the kernel interrupts it for any signal, and there is
	// nothing to wait for.
	if err := f.draft.WriteAt(context.WithoutCancel(ctx), []byte(target), 0); err != nil {
		f.detach(err)
		return nil, errno(err)
	}
	f.attr.size, f.blank = int64(len(target)), false
	return d.saveNew(ctx, f, out)
}

// Link has no counterpart in an object store. With the option it is a copy.
func (d *dir) Link(ctx context.Context, target gofs.InodeEmbedder, name string, out *fuse.EntryOut) (*gofs.Inode, syscall.Errno) {
	src, ok := target.(*file)
	if !ok || d.m.opt.HardLinks != "copy" {
		return nil, syscall.EPERM
	}
	if en := src.commitOrTell(ctx); en != 0 {
		return nil, en
	}
	c, prefix, end, en := d.begin(ctx, name)
	if en != 0 {
		return nil, en
	}
	defer end()
	src.mu.Lock()
	obj := src.obj
	src.mu.Unlock()
	obj, err := objstore.CopyObject(c, d.m.store, keypath.File(prefix, name), obj,
		objstore.CopyOptions{Src: obj.Version, Dst: objstore.Cond{Absent: true}})
	if errors.Is(err, objstore.ErrCond) {
		return nil, syscall.EEXIST
	}
	if err != nil {
		return nil, errno(err)
	}
	d.noteFile(name, obj)
	return d.nodeOf(c, prefix, entry{name: name, obj: obj, asOf: time.Now()}, out)
}

func (d *dir) Unlink(ctx context.Context, name string) syscall.Errno {
	c, prefix, end, en := d.begin(ctx, name)
	if en != 0 {
		return en
	}
	f := d.fileNamed(name)
	if d.m.opt.NoDelete && (f == nil || f.isCommitted() || f.isPending()) {
		end()
		return syscall.EPERM
	}
	if f == nil {
		defer end()
		return errno(d.remove(c, prefix, name))
	}
	end() // busy comes before leases
	c, cancel := killable(ctx)
	defer cancel()
	if err := f.busy.lock(c); err != nil {
		return errno(err)
	}
	defer f.busy.unlock()
	prefix, release, err := d.m.tree.leaseIn(c, d)
	if err != nil {
		return errno(err)
	}
	defer release()
	undo, err := f.preserve(c)
	if err != nil {
		return errno(err)
	}
	if f.isCommitted() || f.mayBeStored() {
		if err := d.remove(c, prefix, name); err != nil {
			undo()
			return errno(err)
		}
	}
	f.unlinked(d, name)
	d.noteGone(name)
	return 0
}

// remove deletes an object, and keeps the directory it may have been the last of.
func (d *dir) remove(ctx context.Context, prefix, name string) error {
	if err := d.keep(ctx, prefix); err != nil {
		return err
	}
	if err := d.m.syncJournal(); err != nil {
		return err
	}
	if err := d.m.store.Delete(ctx, keypath.File(prefix, name), objstore.Cond{}); err != nil {
		return err
	}
	d.noteGone(name)
	return nil
}

// fileNamed gives the file node of a name, if this mount has one.
func (d *dir) fileNamed(name string) *file {
	d.mu.Lock()
	f := d.local[name]
	d.mu.Unlock()
	if f != nil {
		return f
	}
	f, _ = ops[*file](d.GetChild(name))
	return f
}

func (d *dir) Statfs(_ context.Context, out *fuse.StatfsOut) syscall.Errno {
	const block = 1 << 12
	blocks := uint64(d.m.opt.Size) / block
	*out = fuse.StatfsOut{
		Bsize: block, Frsize: block, NameLen: keypath.MaxName,
		Blocks: blocks, Bfree: blocks, Bavail: blocks,
		Files: 1 << 32, Ffree: 1 << 32,
	}
	return 0
}
