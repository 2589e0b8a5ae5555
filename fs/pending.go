package fs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"syscall"
	"time"

	gofs "github.com/hanwen/go-fuse/v2/fs"

	"github.com/pailfs/pailfs/fs/draft"
	"github.com/pailfs/pailfs/fs/journal"
	"github.com/pailfs/pailfs/fs/keypath"
	"github.com/pailfs/pailfs/objstore"
)

// With CommitAsync close(2) returns when the bytes and where they belong are in the
// journal. Such a file is pending: it keeps its draft, whose content is read from the
// journal, so it is as unsaved as a file that is still open, and the mount shows it
// in the same way. What would change its content, attributes or name commits it
// first; removing it takes it out of the journal.

// pending is what the journal has of a file.
type pending struct {
	*journal.Entry
	attrSeq  int64 // of the attributes in it
	dir      *dir  // where the name is, kept from being forgotten
	tried    bool  // a commit may have left an object
	failures int
}

// isPending reports whether the journal has what the store has not.
func (f *file) isPending() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.pending != nil
}

// covered reports whether a crash loses nothing of what is unsaved. f.mu must be held.
func (f *file) covered() bool { return f.coveredBy(f.draft) }

func (f *file) coveredBy(dr *draft.Draft) bool {
	return f.pending != nil && f.pending.attrSeq == f.attrSeq && dr != nil && dr.Stowed()
}

// commitLater puts what is unsaved of the file into the journal, to be committed in
// the background. It is false where that cannot be: then it must be committed now.
func (f *file) commitLater(ctx context.Context) bool {
	if !f.m.opt.CommitAsync || f.m.uploads.full() {
		return false
	}
	ctx, cancel := killable(ctx)
	defer cancel()
	if f.busy.lock(ctx) != nil {
		return false
	}
	defer f.busy.unlock()
	prefixes, release, err := f.m.tree.lease(ctx, &f.place)
	if err != nil {
		return false
	}
	defer release()
	if f.m.tree.isUnlinked(&f.place) {
		return true
	}
	parent, name := f.m.tree.at(&f.place)
	key := keypath.File(prefixes[0], name)
	f.mu.Lock()
	dr, seq, t, covered := f.draft, f.attrSeq, f.targetAt(key), f.covered()
	fit := dr != nil && f.dead == nil && f.clone == nil && (!f.committed || dr.Dirty())
	f.mu.Unlock()
	if covered || !fit {
		return covered
	}
	maps.Copy(t.Metadata, t.Soft)
	r := journal.Record{ID: draft.NewID(), Key: key, Version: string(t.Cond.Version), ContentType: t.ContentType,
		Metadata: t.Metadata, At: time.Now()}
	var e *journal.Entry
	err = dr.Stow(ctx, r.ID, func(content []byte) (io.ReaderAt, error) {
		e, err = f.m.journal.Append(r, content)
		return e, err
	})
	if err != nil {
		f.m.tellStow(key, err)
		return false
	}
	f.setPending(&pending{Entry: e, attrSeq: seq, dir: parent})
	f.m.uploads.add(f)
	return true
}

// tellStow logs why a file is committed at once, the first time that it is the local
// disk.
func (m *mount) tellStow(key string, err error) {
	if errors.Is(err, draft.ErrNotAtHand) || errors.Is(err, context.Canceled) {
		return
	}
	m.stowFailed.Do(func() {
		m.log.Warn("the journal takes no more: close waits for the store, as without --commit=async, until it does", "key", key, "err", err)
	})
}

// setPending makes p what the journal has of the file, instead of what it had.
func (f *file) setPending(p *pending) {
	p.dir.pin()
	f.mu.Lock()
	old := f.pending
	p.tried = p.tried || f.flushErr != nil
	f.pending, f.flushErr = p, nil
	f.mu.Unlock()
	f.release(old)
}

// takePending makes the file one that is not pending. What is returned must be
// released, or kept.
func (f *file) takePending() *pending {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.pending
	f.pending = nil
	return p
}

// release says that the journal need not have p any more.
func (f *file) release(p *pending) {
	if p == nil {
		return
	}
	if err := p.Done(); err != nil {
		f.m.log.Warn("state directory", "err", err)
	}
	f.unpin(p)
}

func (f *file) unpin(p *pending) {
	f.mu.Lock()
	forgotten := f.forgotten && f.pending == nil
	f.forgotten = f.forgotten && !forgotten
	f.mu.Unlock()
	if forgotten {
		f.m.inos.free(f.StableAttr().Ino)
	}
	p.dir.unpin()
}

// keepPending takes the bytes out of the journal into a file of their own, whose path
// it gives: for good, or until the next mount has uploaded them. Where that cannot be
// they stay in the journal.
func (f *file) keepPending(p *pending, forGood bool) (kept string) {
	keep := p.Keep
	if forGood {
		keep = p.KeepForGood
	}
	kept, err := keep()
	if err != nil {
		f.m.log.Error("the bytes could not be copied out of the journal", "key", p.Key, "err", err)
		kept = f.m.journalDir
	}
	f.unpin(p)
	return kept
}

// commitPending commits what the journal has, and nothing of what somebody has begun
// to write since.
func (f *file) commitPending(ctx context.Context) error {
	if err := f.busy.lock(ctx); err != nil {
		return err
	}
	defer f.busy.unlock()
	f.mu.Lock()
	covered := f.covered()
	f.mu.Unlock()
	if !covered {
		return nil
	}
	return f.commitBusy(ctx)
}

// settlePending commits a pending file before it changes in any way.
func (f *file) settlePending(ctx context.Context) error {
	if !f.isPending() {
		return nil
	}
	err := f.commitPending(ctx)
	if errors.Is(err, objstore.ErrCond) {
		f.lost(err)
	}
	return err
}

// mayBeStored reports whether an object may be under the name of a file that was never
// committed: one that it replaces, or what an earlier try has left.
func (f *file) mayBeStored() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.replaces != "" || f.pending != nil && f.pending.tried
}

// cancelPending keeps a file that has lost its name from coming back after a crash.
// Who has it open still reads it from the journal.
func (f *file) cancelPending() {
	f.mu.Lock()
	p := f.pending
	f.mu.Unlock()
	if p == nil {
		return
	}
	err := p.Cancel()
	if err == nil {
		err = f.m.journal.Sync()
	}
	if err != nil {
		f.m.log.Error("a file that was removed may come back after a crash", "key", p.Key, "err", err)
	}
}

// settleLocal commits the pending files of a directory.
func (d *dir) settleLocal(ctx context.Context) error {
	var err error
	for _, f := range d.localFiles() {
		err = errors.Join(err, f.settlePending(ctx))
	}
	return err
}

// syncJournal makes sure that what was committed cannot come back from the journal
// after a crash of the machine. It comes before a name is taken away from an object.
func (m *mount) syncJournal() error {
	if err := m.journal.Sync(); err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	return nil
}

// dirPin is a node without a use of its own: a directory that has one is not
// forgotten, whatever the kernel forgets.
type dirPin struct{ gofs.Inode }

// pinName is no name that the kernel could ask for.
const pinName = "\x00"

func (d *dir) pin() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.pins++; d.pins == 1 {
		d.pinned = &dirPin{}
		d.AddChild(pinName, d.NewPersistentInode(context.Background(), d.pinned, gofs.StableAttr{Mode: syscall.S_IFREG}), true)
	}
}

func (d *dir) unpin() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.pins--; d.pins == 0 {
		d.pinned.ForgetPersistent()
		d.pinned = nil
	}
}

// state is what user.pailfs.state shows.
func (f *file) state() string {
	unsaved := f.unsaved()
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.pending != nil && f.flushErr != nil:
		return fmt.Sprintf("failed: %v", f.flushErr)
	case f.covered():
		return "pending"
	case unsaved:
		return "unsaved"
	}
	return "committed"
}
