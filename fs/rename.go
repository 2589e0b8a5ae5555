package fs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"syscall"
	"time"

	gofs "github.com/hanwen/go-fuse/v2/fs"

	"github.com/pailfs/pailfs/fs/keypath"
	"github.com/pailfs/pailfs/objstore"
)

const renameNoReplace = 1 // RENAME_NOREPLACE

func (d *dir) Rename(ctx context.Context, name string, newParent gofs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	nd, ok := newParent.(*dir)
	if !ok {
		return syscall.EXDEV
	}
	if flags&^renameNoReplace != 0 {
		return syscall.EINVAL
	}
	if d == nd && name == newName {
		return 0
	}
	// Both must be allowed; the leases come later, both at once.
	for _, end := range []struct {
		d    *dir
		name string
	}{{d, name}, {nd, newName}} {
		_, _, done, en := end.d.begin(ctx, end.name)
		if en != 0 {
			return en
		}
		done()
	}
	c, cancel := killable(ctx)
	defer cancel()
	if sub, ok := ops[*dir](d.GetChild(name)); ok {
		if d.m.opt.NoDelete {
			return syscall.EPERM
		}
		return errno(d.renameDir(c, sub, name, nd, newName, flags))
	}
	f := d.fileNamed(name)
	if f == nil {
		return syscall.ENOENT
	}
	return errno(d.renameFile(c, f, name, nd, newName, flags))
}

func (d *dir) renameFile(ctx context.Context, f *file, name string, nd *dir, newName string, flags uint32) (err error) {
	if d.m.opt.CreateOnly {
		flags |= renameNoReplace
	}
	target := nd.fileNamed(newName)
	if target != nil && flags&renameNoReplace != 0 {
		return syscall.EEXIST
	}
	unlock, err := lockBoth(ctx, f, target)
	if err != nil {
		return err
	}
	defer unlock()
	cond := objstore.Cond{Absent: true}
	if target != nil {
		if target.isPending() {
			if err := target.commitBusy(ctx); err != nil {
				return err
			}
		}
		cond = target.presence()
		undo, err2 := target.preserve(ctx)
		if err2 != nil {
			return err2
		}
		defer func() {
			if err != nil {
				undo()
			}
		}()
	}
	stored := f.isCommitted() || f.streaming() || f.isPending()
	if stored && d.m.opt.NoDelete {
		return syscall.EPERM // the object under the old name would have to go
	}
	if stored {
		if err := f.commitBusy(ctx); err != nil {
			return err
		}
	}
	prefixes, release, err := d.m.tree.lease(ctx, &place{parent: d}, &place{parent: nd})
	if err != nil {
		return err
	}
	defer release()
	src, dst := keypath.File(prefixes[0], name), keypath.File(prefixes[1], newName)
	if stored {
		err := d.renameStored(ctx, f, prefixes[0], dst, src, cond)
		if errors.Is(err, objstore.ErrCond) && flags&renameNoReplace != 0 {
			return syscall.EEXIST
		}
		if err != nil {
			return err
		}
	} else {
		f.mu.Lock()
		f.replaces = cond.Version
		f.mu.Unlock()
	}
	if target != nil {
		target.unlinked(nd, newName)
	}
	d.moved(f, name, nd, newName)
	return nil
}

// presence is the condition that the name still has what this mount knows.
func (f *file) presence() objstore.Cond {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.committed:
		return objstore.Cond{Version: f.obj.Version}
	case f.replaces != "":
		return objstore.Cond{Version: f.replaces}
	}
	return objstore.Cond{Absent: true}
}

func (f *file) streaming() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.draft != nil && f.draft.Streaming()
}

// renameStored moves an object inside the store. Where that takes a copy and a
// removal, the removal comes last.
func (d *dir) renameStored(ctx context.Context, f *file, prefix, dst, src string, cond objstore.Cond) error {
	if err := d.m.syncJournal(); err != nil {
		return err
	}
	f.mu.Lock()
	old := f.obj
	f.mu.Unlock()
	obj, err := d.m.moveObject(ctx, dst, old, objstore.CopyOptions{Src: old.Version, Dst: cond}, func() error {
		return d.keep(ctx, prefix)
	})
	if err != nil {
		return fmt.Errorf("rename %q to %q: %w", src, dst, err)
	}
	f.adoptKey(obj)
	return nil
}

// moveObject renames an object: in one call where the store has that. before
// runs ahead of the removal of the source.
func (m *mount) moveObject(ctx context.Context, dst string, src objstore.Object, opt objstore.CopyOptions, before func() error) (objstore.Object, error) {
	if r, ok := m.store.(objstore.Renamer); ok && m.store.Caps().AtomicRename {
		if err := before(); err != nil {
			return objstore.Object{}, err
		}
		return r.Rename(ctx, dst, src.Key, opt)
	}
	ended, err := m.beginMove(move{From: src.Key, To: dst, Version: src.Version})
	if err != nil {
		return objstore.Object{}, err
	}
	defer ended()
	obj, err := objstore.CopyObject(ctx, m.store, dst, src, opt)
	if err != nil {
		return objstore.Object{}, err
	}
	if err := before(); err != nil {
		return objstore.Object{}, err
	}
	return obj, m.deleteVersion(ctx, src)
}

// adoptKey tells a file that its object has another key now.
func (f *file) adoptKey(obj objstore.Object) {
	f.mu.Lock()
	f.obj = obj
	f.checked = time.Now()
	f.savedAt = f.checked
	dr := f.draft
	f.mu.Unlock()
	if dr != nil {
		dr.SetBase(obj)
	}
	f.dropReader()
}

// moved puts a file under its new name in what this mount knows.
func (d *dir) moved(f *file, name string, nd *dir, newName string) {
	d.m.tree.move(&f.place, nd, newName)
	d.forget(name, f)
	d.noteGone(name)
	f.mu.Lock()
	local, committed, obj := f.draft != nil, f.committed, f.obj
	f.mu.Unlock()
	if local {
		nd.mu.Lock()
		nd.local[newName] = f
		nd.mu.Unlock()
	}
	if committed {
		nd.noteFile(newName, obj)
	}
	f.settle()
}

// lockBoth takes f.busy of one or two files, always in the same order.
func lockBoth(ctx context.Context, a, b *file) (unlock func(), err error) {
	if b == nil || a == b {
		return a.busy.unlock, a.busy.lock(ctx)
	}
	if a.StableAttr().Gen > b.StableAttr().Gen {
		a, b = b, a
	}
	if err := a.busy.lock(ctx); err != nil {
		return nil, err
	}
	if err := b.busy.lock(ctx); err != nil {
		a.busy.unlock()
		return nil, err
	}
	return func() { b.busy.unlock(); a.busy.unlock() }, nil
}

// below gives all nodes of a directory and of those in it that this mount has.
func (d *dir) below() (files []*file, dirs []*dir) {
	dirs = []*dir{d}
	seen := map[*file]bool{}
	add := func(f *file) {
		if !seen[f] {
			seen[f] = true
			files = append(files, f)
		}
	}
	d.mu.Lock()
	locals := maps.Clone(d.local)
	d.mu.Unlock()
	for _, f := range locals {
		add(f)
	}
	for _, child := range d.Children() {
		switch n := child.Operations().(type) {
		case *file:
			add(n)
		case *dir:
			fs, ds := n.below()
			for _, f := range fs {
				add(f)
			}
			dirs = append(dirs, ds...)
		}
	}
	return files, dirs
}
