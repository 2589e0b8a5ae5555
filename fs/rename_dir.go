package fs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pailfs/pailfs/fs/keypath"
	"github.com/pailfs/pailfs/objstore"
)

// renameWorkers is how many objects of a renamed directory are copied or
// removed side by side.
const renameWorkers = 16

// renameDir moves all that is below a directory: every object is copied, and
// only when all are there the old ones are removed. What a crash leaves of it the
// next mount finishes, or undoes.
func (d *dir) renameDir(ctx context.Context, sub *dir, name string, nd *dir, newName string, flags uint32) error {
	end, err := d.m.quiesce(ctx, sub)
	if err != nil {
		return err
	}
	defer end()
	prefixes, release, err := d.m.tree.lease(ctx, &place{parent: d}, &place{parent: nd})
	if err != nil {
		return err
	}
	defer release()
	src, dst := keypath.Dir(prefixes[0], name), keypath.Dir(prefixes[1], newName)
	over, err := d.makeWay(ctx, nd, newName, prefixes[1], dst, flags)
	if err != nil {
		return err
	}
	if err := d.m.syncJournal(); err != nil {
		return err
	}
	ended, err := d.m.beginMove(move{From: src, To: dst, Over: over})
	if err != nil {
		return err
	}
	moved, err := d.m.copyTree(ctx, dst, src)
	if err != nil {
		var copies []objstore.Object
		for _, o := range moved {
			if !over || o.to.Key != dst {
				copies = append(copies, o.to)
			}
		}
		if d.m.removeAll(context.WithoutCancel(ctx), copies) == nil {
			ended()
		}
		return fmt.Errorf("rename %q to %q: %w", src, dst, err)
	}
	if err := d.keep(ctx, prefixes[0]); err != nil {
		return err
	}
	old := make([]objstore.Object, len(moved))
	for i, o := range moved {
		old[i] = o.from
	}
	if err := d.m.removeAll(ctx, old); err != nil {
		return fmt.Errorf("rename %q to %q: all is copied, but not all of the old is removed: %w", src, dst, err)
	}
	ended()
	d.movedDir(sub, name, nd, newName, moved)
	return nil
}

// quiesce commits what is open below a directory and then keeps everything
// there waiting until end.
func (m *mount) quiesce(ctx context.Context, sub *dir) (end func(), err error) {
	for range 100 {
		files, _ := sub.below()
		for _, f := range files {
			if f.mustSettle() {
				if err := f.commit(ctx); err != nil {
					return nil, err
				}
			}
		}
		end, err := m.tree.beginMove(ctx, sub)
		if err != nil {
			return nil, err
		}
		files, _ = sub.below()
		settled := true
		for _, f := range files {
			settled = settled && !f.mustSettle()
		}
		if settled {
			return end, nil
		}
		end()
	}
	return nil, syscall.EBUSY // somebody writes all the time
}

// mustSettle reports whether what is unsaved of a file is bound to its key.
func (f *file) mustSettle() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.unsavedLocked() && (f.committed || f.pending != nil || f.draft != nil && f.draft.Streaming())
}

// makeWay makes sure that nothing but an empty directory is in the way, and
// reports whether one is.
func (d *dir) makeWay(ctx context.Context, nd *dir, newName, prefix, dst string, flags uint32) (over bool, err error) {
	if nd.fileNamed(newName) != nil {
		return false, syscall.ENOTDIR
	}
	target, known := ops[*dir](nd.GetChild(newName))
	if known && target.hasLocal() {
		return false, syscall.ENOTEMPTY
	}
	empty, err := d.m.isEmpty(ctx, dst)
	switch {
	case err != nil:
		return false, err
	case !empty:
		return false, syscall.ENOTEMPTY
	case !known:
		return false, nil
	case flags&renameNoReplace != 0:
		return false, syscall.EEXIST
	}
	d.m.tree.unlink(&target.place)
	return true, nil
}

type movedObject struct{ from, to objstore.Object }

// copyTree copies every object below src; what it has copied is given also when
// it fails.
func (m *mount) copyTree(ctx context.Context, dst, src string) ([]movedObject, error) {
	var mu sync.Mutex
	var moved []movedObject
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(renameWorkers)
	var listErr error
	for token, more := "", true; more && ctx.Err() == nil; {
		page, err := m.store.List(ctx, objstore.ListRequest{Prefix: src, Token: token})
		if err != nil {
			listErr = err
			break
		}
		for _, o := range page.Objects {
			g.Go(func() error {
				to, err := m.copyEntry(ctx, dst+o.Key[len(src):], o)
				if errors.Is(err, objstore.ErrNotFound) {
					return nil // removed in the meantime
				}
				if err != nil {
					return err
				}
				mu.Lock()
				defer mu.Unlock()
				moved = append(moved, movedObject{o, to})
				return nil
			})
		}
		token, more = page.Next, page.Next != ""
	}
	err := g.Wait()
	if listErr != nil {
		err = listErr
	}
	return moved, err
}

// copyEntry copies one object of a directory. Markers are written anew: stores
// that keep objects as files cannot copy them.
func (m *mount) copyEntry(ctx context.Context, dst string, o objstore.Object) (objstore.Object, error) {
	cond := objstore.Cond{Absent: m.opt.CreateOnly}
	if o.Size > 0 || !strings.HasSuffix(o.Key, "/") {
		return objstore.CopyObject(ctx, m.store, dst, o, objstore.CopyOptions{Src: o.Version, Dst: cond})
	}
	o, err := m.store.Stat(ctx, o.Key)
	if err != nil {
		return objstore.Object{}, err
	}
	return m.store.Put(ctx, dst, emptyBody(), objstore.PutOptions{Cond: cond, Metadata: o.Metadata, ContentType: o.ContentType})
}

// removeAll removes the deepest first, and the markers after what is in them:
// stores that keep objects as files remove no directory that is not empty.
func (m *mount) removeAll(ctx context.Context, objects []objstore.Object) error {
	levels := map[int][]objstore.Object{}
	for _, o := range objects {
		level := 2 * strings.Count(o.Key, "/")
		if strings.HasSuffix(o.Key, "/") {
			level--
		}
		levels[level] = append(levels[level], o)
	}
	for _, level := range slices.Backward(slices.Sorted(maps.Keys(levels))) {
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(renameWorkers)
		for _, o := range levels[level] {
			g.Go(func() error { return m.deleteVersion(ctx, o) })
		}
		if err := g.Wait(); err != nil {
			return err
		}
	}
	return nil
}

// deleteVersion removes an object unless somebody has replaced it, as far as the
// store can be told so. The version of a marker says nothing.
func (m *mount) deleteVersion(ctx context.Context, o objstore.Object) error {
	cond := objstore.Cond{}
	if m.store.Caps().CondDelete && !strings.HasSuffix(o.Key, "/") {
		cond.Version = o.Version
	}
	return m.store.Delete(ctx, o.Key, cond)
}

// movedDir puts a directory under its new name in what this mount knows.
func (d *dir) movedDir(sub *dir, name string, nd *dir, newName string, moved []movedObject) {
	byOld := make(map[string]objstore.Object, len(moved))
	for _, o := range moved {
		byOld[o.from.Key] = o.to
	}
	files, dirs := sub.below()
	for _, f := range files {
		f.mu.Lock()
		old, committed, private := f.obj.Key, f.committed, f.private
		f.mu.Unlock()
		if !committed || private {
			continue
		}
		if obj, ok := byOld[old]; ok {
			f.adoptKey(obj)
		} else {
			f.mu.Lock()
			f.checked, f.savedAt = time.Time{}, time.Time{} // it is not there any more
			f.obj.Version = ""
			f.mu.Unlock()
		}
	}
	for _, s := range dirs {
		s.mu.Lock()
		s.known = nil
		s.mu.Unlock()
	}
	d.m.tree.move(&sub.place, nd, newName)
	d.noteGone(name)
	nd.noteDir(newName)
}
