package fs

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/pailfs/pailfs/fs/journal"
	"github.com/pailfs/pailfs/fs/keypath"
	"github.com/pailfs/pailfs/objstore"
)

var errNoStateDir = errors.New("commit=async needs a state directory; give one with --state-dir")

// stateDir is the directory for one thing that mounts of this source remember.
func (m *mount) stateDir(kind string) string {
	h := fnv.New64a()
	h.Write([]byte(m.opt.FsName))
	return filepath.Join(m.opt.StateDir, kind, fmt.Sprintf("%016x", h.Sum64()))
}

// openJournal opens the journal where it is wanted, or where a mount that died has
// left something in it.
func (m *mount) openJournal() error {
	async := m.opt.CommitAsync
	if m.opt.StateDir == "" {
		if async {
			return errNoStateDir
		}
		return nil
	}
	dir := m.stateDir("commits")
	left := journal.Exists(dir)
	if m.opt.ReadOnly {
		if left {
			m.log.Warn("files that an earlier mount closed are not uploaded yet: that takes a mount which may write", "journal", dir)
		}
		return nil
	}
	if !async && !left {
		return nil
	}
	j, err := journal.Open(dir, journal.Options{Limit: m.opt.JournalSize})
	switch {
	case errors.Is(err, journal.ErrLocked) && !async:
		return nil // its mount is alive
	case errors.Is(err, journal.ErrLocked):
		return fmt.Errorf("another mount of %s with commit=async has the journal: %w; give this one another --state-dir", m.opt.FsName, err)
	case err != nil:
		return fmt.Errorf("journal of commit=async: %w", err)
	}
	m.journal, m.journalDir = j, dir
	m.uploads = newUploads(m.opt.Parallel, func() {
		if err := m.syncJournal(); err != nil {
			m.log.Warn("journal of commit=async", "err", err)
		}
	})
	for _, d := range j.Damaged() {
		m.log.Error("a file that was closed is damaged on the local disk, and cannot be uploaded", "key", d.Key, "err", d)
		m.report(Unsaved{Key: d.Key, Err: d, Kept: d.Path})
	}
	return nil
}

// restore makes the files that the journal has pending ones, before the kernel asks
// for anything.
func (m *mount) restore(ctx context.Context) {
	if m.journal == nil {
		return
	}
	last := map[string]*journal.Entry{}
	for _, e := range m.journal.Entries() {
		if old := last[e.Key]; old != nil {
			// Closed again before the first was committed.
			if err := old.Done(); err != nil {
				m.log.Warn("state directory", "err", err)
			}
		}
		last[e.Key] = e
	}
	for _, e := range m.journal.Entries() {
		if last[e.Key] == e {
			m.restoreFile(ctx, e)
		}
	}
	if len(last) > 0 {
		m.log.Info("files that an earlier mount closed are uploaded now", "count", len(last))
	}
}

func (m *mount) restoreFile(ctx context.Context, e *journal.Entry) {
	dirs, name := keypath.Parent(e.Key)
	d := m.root
	for elem := range strings.SplitSeq(strings.TrimSuffix(dirs, "/"), "/") {
		if elem != "" {
			d = d.subdir(ctx, elem)
		}
	}
	f := m.newFile(d, name)
	f.attr = m.decodeAttr(objstore.Object{Key: e.Key, Size: e.Size, ModTime: e.At, Metadata: e.Metadata}, syscall.S_IFREG)
	f.attr.own = true
	f.obj.ContentType = e.ContentType
	f.replaces = objstore.Version(e.Version)
	f.changedAt = e.At
	f.draft = m.drafts.Restore(e.ID, e, e.Size)
	f.draft.Start(f.target)
	d.AddChild(name, d.newInode(ctx, f, e.Key, f.attr.fileType()), true)
	d.mu.Lock()
	d.local[name] = f
	d.mu.Unlock()
	f.setPending(&pending{Entry: e, dir: d, tried: true})
}

// subdir gives the node of a subdirectory of which the store was not asked yet.
func (d *dir) subdir(ctx context.Context, name string) *dir {
	if sub, ok := ops[*dir](d.GetChild(name)); ok {
		return sub
	}
	sub := d.m.newDir(d, name)
	d.AddChild(name, d.newInode(ctx, sub, keypath.Dir(d.m.tree.prefix(d), name), syscall.S_IFDIR), true)
	return sub
}

// resume begins to upload what was restored.
func (m *mount) resume() {
	if m.journal == nil {
		return
	}
	files, _ := m.root.below()
	for _, f := range files {
		if f.isPending() {
			m.uploads.add(f)
		}
	}
}

// OnAdd comes for the root before the kernel asks for anything.
func (d *dir) OnAdd(ctx context.Context) {
	if d == d.m.root {
		d.m.restore(ctx)
	}
}
