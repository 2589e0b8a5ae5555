package fs

import (
	"context"
	"errors"
	"maps"
	"syscall"
	"time"

	gofs "github.com/hanwen/go-fuse/v2/fs"

	"github.com/pailfs/pailfs/fs/draft"
	"github.com/pailfs/pailfs/fs/keypath"
	"github.com/pailfs/pailfs/objstore"
)

// newDraft makes the draft of a file that is not in the store.
func (m *mount) newDraft(f *file) *draft.Draft {
	d := m.drafts.New()
	d.Start(f.target)
	return d
}

// editDraft makes the draft of f as it is now. f.mu must be held.
func (m *mount) editDraft(f *file) *draft.Draft {
	d := m.drafts.Edit(f.obj)
	d.Start(f.target)
	return d
}

// target is for an upload that begins now, long before the commit: the mtime
// that the clock gives is not known yet.
func (f *file) target() draft.Target {
	key := f.m.tree.path(&f.place)
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.targetAt(key)
	t.Soft = nil
	return t
}

func (f *file) targetAt(key string) draft.Target {
	must, soft := f.attr.encode()
	t := draft.Target{
		Key: key, ContentType: f.obj.ContentType, StorageClass: f.m.opt.StorageClass,
		Metadata: must, Soft: soft,
	}
	switch {
	case f.committed:
		t.Cond.Version = f.obj.Version
	case f.replaces != "":
		t.Cond.Version = f.replaces
	default:
		t.Cond.Absent = true
	}
	return t
}

// unsaved reports whether the store lacks anything of the file.
func (f *file) unsaved() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.unsavedLocked()
}

func (f *file) unsavedLocked() bool {
	if f.dead != nil {
		return false
	}
	return !f.committed || f.attrSeq != f.attrSaved || f.draft != nil && f.draft.Dirty()
}

// commit makes the store have the file as it is now. It is the only way in
// which content reaches a key.
func (f *file) commit(ctx context.Context) error {
	if err := f.busy.lock(ctx); err != nil {
		return err
	}
	defer f.busy.unlock()
	return f.commitBusy(ctx)
}

// commitAttr is commit for attributes alone. A content that somebody has begun to
// change takes them along when it is committed: it is not whole now.
func (f *file) commitAttr(ctx context.Context) error {
	if err := f.busy.lock(ctx); err != nil {
		return err
	}
	defer f.busy.unlock()
	return f.commitWhat(ctx, true)
}

// commitBusy is commit for those who hold f.busy.
func (f *file) commitBusy(ctx context.Context) error { return f.commitWhat(ctx, false) }

func (f *file) commitWhat(ctx context.Context, attrOnly bool) error {
	if !f.unsaved() {
		return nil
	}
	prefixes, release, err := f.m.tree.lease(ctx, &f.place)
	if err != nil {
		return err
	}
	defer release()
	if f.m.tree.isUnlinked(&f.place) {
		return nil
	}
	parent, name := f.m.tree.at(&f.place)
	err = f.store(ctx, keypath.File(prefixes[0], name), attrOnly)
	f.mu.Lock()
	f.flushErr = err
	obj := f.obj
	f.mu.Unlock()
	if err != nil {
		return err
	}
	parent.noteFile(name, obj)
	return nil
}

// store writes content and attributes to the key, or only the attributes where
// the content has not changed.
func (f *file) store(ctx context.Context, key string, attrOnly bool) error {
	f.mu.Lock()
	dr, seq, old, t := f.draft, f.attrSeq, f.obj, f.targetAt(key)
	content := !f.committed || dr != nil && dr.Dirty()
	f.mu.Unlock()
	if attrOnly && content {
		return nil
	}

	var obj objstore.Object
	var err error
	if content {
		if err := f.endClone(ctx, dr); err != nil {
			return err
		}
		begun := time.Now()
		obj, err = dr.Commit(ctx, t)
		if err == nil {
			f.m.log.Debug("committed", "key", key, "size", obj.Size, "version", obj.Version, "took", time.Since(begun))
		}
	} else {
		maps.Copy(t.Metadata, t.Soft)
		if old.NotedSHA256() != nil { // the bytes stay
			t.Metadata[objstore.MetaSHA256] = old.Metadata[objstore.MetaSHA256]
		}
		obj, err = objstore.CopyObject(ctx, f.m.store, key, old,
			objstore.CopyOptions{Src: old.Version, Metadata: t.Metadata})
		if errors.Is(err, objstore.ErrNotFound) {
			err = objstore.NewError("copy", key, objstore.ErrCond, err) // removed by somebody else
		}
	}
	if err != nil {
		return err
	}
	f.mu.Lock()
	if f.draft != nil && !content {
		f.draft.SetBase(obj) // also of a draft that was begun meanwhile
	}
	f.obj, f.committed, f.replaces = obj, true, ""
	f.attrSaved = seq
	f.checked = time.Now()
	f.savedAt = f.checked
	f.mu.Unlock()
	f.release(f.takePending())
	f.dropReader()
	return nil
}

// Flush is close(2). It comes for each descriptor that is closed, dup'd ones
// and those of children too.
func (f *file) Flush(ctx context.Context, fh gofs.FileHandle) syscall.Errno {
	h := handleOf(fh)
	if !h.write {
		return 0
	}
	f.mu.Lock()
	dead := f.dead
	var deadErr error
	if dead != nil {
		deadErr = f.deadErrno()
	}
	unsaved, blank, committed := f.unsavedLocked() && !f.covered(), f.blank, f.committed
	f.mu.Unlock()
	if dead != nil {
		return errno(deadErr)
	}
	if !unsaved || f.m.tree.isUnlinked(&f.place) {
		return 0
	}
	pid := callerPid(ctx)
	who := examine(pid)
	switch {
	case who.execing:
		// Not a close of the program's: whoever forked still has the file.
		return 0
	case who.failed && f.keepsOld(committed):
		// Settled when the last descriptor goes (Release).
		f.mu.Lock()
		f.died = true
		f.mu.Unlock()
		return 0
	case who.forked && heldByParent(pid, f.StableAttr().Ino):
		// A child that puts away what it inherited, before its execve.
		return 0
	case blank && heldElsewhere(pid, f.StableAttr().Ino):
		// A shell that redirects: the first byte is still to come.
		return 0
	}
	f.mu.Lock()
	f.died = false
	f.mu.Unlock()
	if f.commitLater(ctx) {
		return 0
	}
	return f.commitOrTell(ctx)
}

// keepsOld reports whether the policy keeps what a failed writer left from
// being published under the name of the file.
func (f *file) keepsOld(committed bool) bool {
	switch f.m.opt.FailedWriter {
	case "publish":
		return false
	case "partial":
		return true
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return committed || f.replaces != ""
}

func (f *file) Fsync(ctx context.Context, _ gofs.FileHandle, _ uint32) syscall.Errno {
	f.mu.Lock()
	if f.dead != nil {
		defer f.mu.Unlock()
		return errno(f.deadErrno())
	}
	f.mu.Unlock()
	if !f.unsaved() || f.m.tree.isUnlinked(&f.place) {
		return 0
	}
	return f.commitOrTell(ctx)
}

// commitOrTell commits for a program that waits for the outcome.
func (f *file) commitOrTell(ctx context.Context) syscall.Errno {
	ctx, cancel := killable(ctx)
	defer cancel()
	err := f.commit(ctx)
	if err == nil {
		return 0
	}
	if errors.Is(err, objstore.ErrCond) {
		f.lost(err)
		return syscall.ESTALE
	}
	f.m.log.Error("commit failed", "key", f.m.tree.path(&f.place), "err", err)
	return errno(err)
}

func (f *file) size() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.attr.size
}

// forget ends what local says of a name.
func (d *dir) forget(name string, f *file) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.local[name] == f {
		delete(d.local, name)
	}
}

// settle lets go of a draft that nobody needs: all is saved and nobody has the
// file open.
func (f *file) settle() {
	parent, name := f.m.tree.at(&f.place)
	parent.mu.Lock()
	f.mu.Lock()
	var dr *draft.Draft
	idle := f.handles == 0
	saved := f.committed && f.dead == nil
	obj := f.obj
	if idle && !f.unsavedLocked() {
		dr = f.draft
		f.draft = nil
		if parent.local[name] == f {
			delete(parent.local, name)
		}
	}
	f.mu.Unlock()
	parent.mu.Unlock()
	switch {
	case dr != nil && saved && f.m.opt.Cache.Wants():
		f.m.late.Go(func() {
			f.m.keep(obj, dr)
			dr.Discard()
		})
	case dr != nil:
		dr.Discard()
	}
	if idle {
		f.dropReader()
	}
}

// Release is the end of an open file description. Nobody learns of an error
// here, so all should have been committed before.
func (f *file) Release(_ context.Context, fh gofs.FileHandle) syscall.Errno {
	h := handleOf(fh)
	f.mu.Lock()
	f.handles--
	f.unpass(h)
	if h.write {
		f.writers--
	}
	last, lastWriter := f.handles == 0, h.write && f.writers == 0
	unsaved, died, flushErr := f.unsavedLocked() && !f.covered(), f.died, f.flushErr
	f.mu.Unlock()
	if lastWriter && unsaved && !f.m.tree.isUnlinked(&f.place) {
		f.last(died, flushErr)
	}
	if !last {
		return 0
	}
	f.settle()
	if f.m.tree.isUnlinked(&f.place) {
		f.bury()
	}
	return 0
}

// last settles a file whose last writer has gone without a commit.
func (f *file) last(died bool, flushErr error) {
	key := f.m.tree.path(&f.place)
	switch {
	case died:
		kept, _ := f.detachKeeping(errors.New("the writer failed"), key+".partial")
		f.m.log.Warn("the writer failed: the object stays as it was", "key", key, "partial", kept)
	case flushErr != nil:
		f.m.report(Unsaved{Key: key, Size: f.size(), Err: flushErr})
		f.detach(flushErr)
	default:
		f.m.late.Add(1)
		defer f.m.late.Done()
		ctx := context.Background()
		err := f.commit(ctx)
		if errors.Is(err, objstore.ErrCond) {
			f.lost(err)
		} else if err != nil {
			f.m.log.Error("commit failed, and nobody waited for it", "key", key, "err", err)
			f.m.report(Unsaved{Key: key, Size: f.size(), Err: err})
			f.detach(err)
		}
	}
}
