package fs

import (
	"context"
	"errors"
	"sync"
	"syscall"
	"time"

	gofs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/pailfs/pailfs/fs/keypath"
	"github.com/pailfs/pailfs/objstore"
)

// dirPatience is how much longer than the attributes of a file those of a
// directory are believed.
const dirPatience = 10

// dir is a directory: a marker, or just the keys below its prefix.
type dir struct {
	gofs.Inode
	m     *mount
	place place // guarded by m.tree.mu

	mu      sync.Mutex
	attr    attr
	marker  markerState
	checked time.Time        // when attr and marker were last asked for
	local   map[string]*file // files that have what the store has not
	pins    int              // files among them that are pending
	pinned  *dirPin

	known    *listing // what the store had at known.at
	recalled recalled
	reading  reading       // of files
	looking  reading       // for attributes that the store must be asked for
	walking  reading       // of the listings of subdirectories
	listed   chan struct{} // closed when a listing ahead has come; nil if there is none
	asks     map[string]*ask
	statSubs bool     // listing a subdirectory tells too little of it
	seq      int64    // of our last change
	changes  []change // since the oldest listing under way began
	listings int      // under way
	loading  *loading
	misses   int // lookups that the store was asked for since the last listing
	missesAt time.Time
	pages    int // of a listing, at least; 0 is unknown
}

type markerState int

const (
	markerUnknown markerState = iota
	markerAbsent
	markerPresent
)

var (
	_ gofs.NodeLookuper       = (*dir)(nil)
	_ gofs.NodeGetattrer      = (*dir)(nil)
	_ gofs.NodeSetattrer      = (*dir)(nil)
	_ gofs.NodeMkdirer        = (*dir)(nil)
	_ gofs.NodeRmdirer        = (*dir)(nil)
	_ gofs.NodeCreater        = (*dir)(nil)
	_ gofs.NodeMknoder        = (*dir)(nil)
	_ gofs.NodeSymlinker      = (*dir)(nil)
	_ gofs.NodeLinker         = (*dir)(nil)
	_ gofs.NodeUnlinker       = (*dir)(nil)
	_ gofs.NodeRenamer        = (*dir)(nil)
	_ gofs.NodeOpendirHandler = (*dir)(nil)
	_ gofs.NodeStatfser       = (*dir)(nil)
	_ gofs.NodeFsyncer        = (*dir)(nil)
	_ gofs.NodeGetxattrer     = (*dir)(nil)
	_ gofs.NodeSetxattrer     = (*dir)(nil)
	_ gofs.NodeListxattrer    = (*dir)(nil)
	_ gofs.NodeRemovexattrer  = (*dir)(nil)
	_ gofs.NodeOnForgetter    = (*dir)(nil)
)

func (m *mount) newDir(parent *dir, name string) *dir {
	d := &dir{m: m, local: map[string]*file{}}
	d.place = place{parent: parent, name: name}
	d.attr = m.implicitDir()
	return d
}

// implicitDir are the attributes of a directory without a marker.
func (m *mount) implicitDir() attr {
	return attr{mode: m.opt.DirMode | syscall.S_IFDIR, uid: m.opt.UID, gid: m.opt.GID, mtime: m.started, ctime: m.started}
}

func (d *dir) OnForget() {
	d.m.inos.free(d.StableAttr().Ino)
}

// Lookup finds a name: first what this mount knows, then the store.
func (d *dir) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*gofs.Inode, syscall.Errno) {
	if len(name) > keypath.MaxName {
		return nil, syscall.ENAMETOOLONG
	}
	if n := d.believed(name, out); n != nil {
		return n, 0
	}
	ctx, cancel := killable(ctx)
	defer cancel()
	prefix, release, err := d.m.tree.leaseIn(ctx, d)
	if err != nil {
		return nil, errno(err)
	}
	defer release()
	if !keypath.Shown(prefix, name) {
		return nil, syscall.ENOENT
	}
	e, err := d.find(ctx, prefix, name)
	if err != nil {
		return nil, errno(err)
	}
	return d.nodeOf(ctx, prefix, e, out)
}

// believed gives the node of a name where nothing need be asked: a file with
// changes of its own, or a node whose attributes are fresh.
func (d *dir) believed(name string, out *fuse.EntryOut) *gofs.Inode {
	d.mu.Lock()
	f := d.local[name]
	d.mu.Unlock()
	if f != nil {
		f.entryOut(out)
		return f.EmbeddedInode()
	}
	child := d.GetChild(name)
	if child == nil {
		return nil
	}
	switch n := child.Operations().(type) {
	case *file:
		if n.isFresh() {
			n.entryOut(out)
			return child
		}
	case *dir:
		if n.isFresh() {
			n.entryOut(out)
			return child
		}
	}
	return nil
}

func (d *dir) isFresh() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Since(d.checked) < dirPatience*d.m.opt.AttrTTL
}

func (d *dir) entryOut(out *fuse.EntryOut) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.attr.fill(&out.Attr)
}

// find asks the store what is under a name: one by one, or by reading the whole
// directory once that has come to cost no more, so that a program that creates
// many files asks once for all of them.
func (d *dir) find(ctx context.Context, prefix, name string) (entry, error) {
	e, found, known := d.lookIn(name)
	if !known && d.worthLoading() {
		if err := d.load(ctx); err != nil {
			return entry{}, err
		}
		e, found, known = d.lookIn(name)
	}
	if known {
		if !found {
			return entry{}, syscall.ENOENT
		}
		return e, nil
	}
	e, err := d.m.findOne(ctx, prefix, name)
	if err == nil && !e.isDir {
		d.learn(name, e.obj)
	}
	return e, err
}

// worthLoading counts a lookup that the store must be asked for, and reports
// whether there were as many of them as the directory has pages.
func (d *dir) worthLoading() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	if now.Sub(d.missesAt) > 10*d.m.opt.AttrTTL {
		d.misses = 0
	}
	d.misses++
	d.missesAt = now
	if d.pages == 0 { // never read
		return d.misses > 1
	}
	return d.misses >= d.pages
}

// findOne asks for one name alone: as an object and as a prefix, both at once.
func (m *mount) findOne(ctx context.Context, prefix, name string) (entry, error) {
	type listed struct {
		page objstore.ListPage
		err  error
	}
	dirs := make(chan listed, 1)
	go func() {
		page, err := m.store.List(ctx, objstore.ListRequest{Prefix: keypath.Dir(prefix, name), Max: 1})
		dirs <- listed{page, err}
	}()
	asOf := time.Now()
	obj, err := m.store.Stat(ctx, keypath.File(prefix, name))
	l := <-dirs
	if l.err != nil {
		return entry{}, l.err
	}
	if len(l.page.Objects) > 0 || len(l.page.Prefixes) > 0 {
		return entry{name: name, isDir: true}, nil
	}
	if errors.Is(err, objstore.ErrNotFound) || errors.Is(err, objstore.ErrUnsupported) {
		return entry{}, syscall.ENOENT
	}
	return entry{name: name, obj: obj, asOf: asOf}, err
}

// nodeOf gives the node of an entry: the one there is, if it still is the same
// thing, else a new one (the kernel believes no new size of a node it knows).
// The caller holds a lease on d.
func (d *dir) nodeOf(ctx context.Context, prefix string, e entry, out *fuse.EntryOut) (*gofs.Inode, syscall.Errno) {
	child := d.GetChild(e.name)
	if e.isDir {
		sub, ok := ops[*dir](child)
		if ok = ok && !d.m.tree.isUnlinked(&sub.place); !ok || !sub.isFresh() {
			d.askNext(ctx, prefix, e.name)
			a, err := d.answer(ctx, prefix, e)
			if err != nil {
				return nil, errno(err)
			}
			if !ok {
				sub = a.sub
				d.newInode(ctx, sub, keypath.Dir(prefix, e.name), syscall.S_IFDIR)
			}
		}
		sub.entryOut(out)
		return sub.EmbeddedInode(), 0
	}
	if !e.obj.MetadataKnown {
		d.recall(prefix, []*objstore.Object{&e.obj})
	}
	if !e.obj.MetadataKnown {
		d.askNext(ctx, prefix, e.name)
		a, err := d.answer(ctx, prefix, e)
		if err != nil {
			return nil, errno(err)
		}
		e.obj, e.asOf = a.obj, a.asOf
	}
	f, ok := ops[*file](child)
	if ok && f.adopt(e) {
		f.entryOut(out)
		return child, 0
	}
	f = d.m.newFile(d, e.name)
	f.committed, f.obj, f.attr, f.checked = true, e.obj, d.m.decodeAttr(e.obj, syscall.S_IFREG), time.Now()
	d.newInode(ctx, f, e.obj.Key, f.attr.fileType())
	f.entryOut(out)
	return f.EmbeddedInode(), 0
}

// newInode gives a new node its inode number, made from its key. The generation
// keeps nodes apart that have the same number one after the other.
func (d *dir) newInode(ctx context.Context, n gofs.InodeEmbedder, key string, typ uint32) *gofs.Inode {
	return d.NewInode(ctx, n, gofs.StableAttr{Mode: typ, Ino: d.m.inos.alloc(key), Gen: d.m.serial.Add(1)})
}

func ops[T gofs.InodeEmbedder](n *gofs.Inode) (T, bool) {
	var none T
	if n == nil {
		return none, false
	}
	t, ok := n.Operations().(T)
	return t, ok
}

func (d *dir) Getattr(ctx context.Context, _ gofs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	if !d.isFresh() && !d.m.tree.isUnlinked(&d.place) {
		ctx, cancel := killable(ctx)
		defer cancel()
		prefix, release, err := d.m.tree.leaseIn(ctx, d)
		if err != nil {
			return errno(err)
		}
		defer release()
		if err := d.loadMarker(ctx, prefix); err != nil {
			return errno(err)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.attr.fill(&out.Attr)
	return 0
}

func (d *dir) Setattr(ctx context.Context, _ gofs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	err := d.update(ctx, func(a *attr) { a.set(in) })
	if err != 0 {
		return err
	}
	d.m.stamp(d, out)
	return d.Getattr(ctx, nil, out)
}

// update changes the attributes of a directory, which gives it a marker.
func (d *dir) update(ctx context.Context, change func(*attr)) syscall.Errno {
	if d.m.opt.ReadOnly {
		return syscall.EROFS
	}
	if d.m.opt.CreateOnly {
		return syscall.EPERM
	}
	if d.m.tree.isUnlinked(&d.place) {
		return 0 // nobody will ever see it
	}
	ctx, cancel := killable(ctx)
	defer cancel()
	prefix, release, err := d.m.tree.leaseIn(ctx, d)
	if err != nil {
		return errno(err)
	}
	defer release()
	if err := d.loadMarker(ctx, prefix); err != nil {
		return errno(err)
	}
	d.mu.Lock()
	a := d.attr
	d.mu.Unlock()
	change(&a)
	a.ctime = time.Now()
	return errno(d.putMarker(ctx, prefix, a, objstore.Cond{}))
}

// Fsync of a directory: names are committed when the call that made them
// returns, or with their file.
func (d *dir) Fsync(ctx context.Context, _ gofs.FileHandle, _ uint32) syscall.Errno {
	ctx, cancel := killable(ctx)
	defer cancel()
	return errno(d.settleLocal(ctx))
}
