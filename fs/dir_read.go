package fs

import (
	"context"
	"maps"
	"slices"
	"syscall"
	"time"

	gofs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/pailfs/pailfs/objstore"
)

// dirHandle is an open directory: a listing as it was when the reading began,
// page by page, with the files that only this mount has at the end.
type dirHandle struct {
	d      *dir
	prefix string
	off    uint64 // of the last entry given

	pages *pages // nil where the listing was remembered
	batch []entry
	next  int // in batch
	done  bool
	given map[string]bool // names that may come again: those of local files

	// Files that only this mount had when the reading began. One that the store gets
	// meanwhile may be in no page.
	local map[string]*file
}

var (
	_ gofs.FileReaddirenter = (*dirHandle)(nil)
	_ gofs.FileLookuper     = (*dirHandle)(nil)
	_ gofs.FileSeekdirer    = (*dirHandle)(nil)
	_ gofs.FileReleasedirer = (*dirHandle)(nil)
	_ gofs.FileFsyncdirer   = (*dirHandle)(nil)
)

func (d *dir) OpendirHandle(context.Context, uint32) (gofs.FileHandle, uint32, syscall.Errno) {
	return &dirHandle{d: d}, 0, 0
}

func (h *dirHandle) start(ctx context.Context) error {
	prefix, release, err := h.d.m.tree.leaseIn(ctx, h.d)
	if err != nil {
		return err
	}
	defer release()
	h.prefix, h.off, h.next, h.done = prefix, 0, 0, false
	h.given, h.local = map[string]bool{}, h.d.localFiles()
	if h.d.m.tree.isUnlinked(&h.d.place) {
		h.batch = []entry{}
		return nil
	}
	if h.d.walkNext(ctx); h.d.awaitAhead(ctx) != nil {
		return ctx.Err()
	}
	h.batch = h.d.remembered()
	if h.batch == nil {
		h.pages = h.d.read(prefix)
	}
	return nil
}

// remembered gives the entries of a fresh listing, in order; nil if there is none.
func (d *dir) remembered() []entry {
	d.mu.Lock()
	defer d.mu.Unlock()
	if l := d.known; l != nil && l.ahead {
		// A walk may be slower than the TTL.
		l.ahead = false
		if time.Since(l.at) < dirPatience*d.m.opt.AttrTTL {
			l.until = time.Now().Add(d.m.opt.AttrTTL)
		}
	}
	if !d.known.believed() {
		return nil
	}
	ents := make([]entry, 0, len(d.known.entries))
	for _, name := range slices.Sorted(maps.Keys(d.known.entries)) {
		ents = append(ents, d.known.entries[name])
	}
	return ents
}

// Readdirent gives the next entry; nil at the end.
func (h *dirHandle) Readdirent(ctx context.Context) (*fuse.DirEntry, syscall.Errno) {
	e, err := h.entry(ctx)
	if err != nil {
		h.d.m.log.Error("reading a directory failed", "prefix", h.prefix, "err", err)
		return nil, errno(err)
	}
	if e == nil {
		return nil, 0
	}
	h.off++
	de := &fuse.DirEntry{Name: e.name, Off: h.off}
	switch {
	case e.isDir:
		de.Mode = syscall.S_IFDIR
	case e.obj.MetadataKnown:
		a := h.d.m.decodeAttr(e.obj, syscall.S_IFREG)
		de.Mode = a.fileType()
	}
	if child := h.d.GetChild(e.name); child != nil {
		de.Ino, de.Mode = child.StableAttr().Ino, child.Mode()
	}
	if de.Ino == 0 {
		de.Ino = 1 // unknown; 0 would hide the entry
	}
	return de, 0
}

func (h *dirHandle) entry(ctx context.Context) (*entry, error) {
	if h.batch == nil && h.pages == nil {
		ctx, cancel := killable(ctx)
		defer cancel()
		if err := h.start(ctx); err != nil {
			return nil, err
		}
	}
	for {
		for h.next < len(h.batch) {
			e := &h.batch[h.next]
			h.next++
			if h.given[e.name] {
				continue
			}
			if h.pages != nil {
				if c, ok := h.pages.changedSince(e.name); ok && c.gone {
					continue
				}
			}
			if h.local[e.name] != nil || h.d.localFile(e.name) != nil {
				h.given[e.name] = true
			}
			return e, nil
		}
		if h.done {
			return nil, nil
		}
		if err := h.fill(ctx); err != nil {
			return nil, err
		}
	}
}

// fill gets the next page, or after the last the names that only this mount has.
func (h *dirHandle) fill(ctx context.Context) error {
	h.next = 0
	if h.pages != nil {
		ctx, cancel := killable(ctx)
		defer cancel()
		ents, more, err := h.pages.page(ctx)
		if err != nil {
			return err
		}
		h.batch = ents
		if !more {
			h.pages.close()
			h.pages = nil
		}
		return nil
	}
	h.done = true
	h.batch = []entry{}
	local := h.d.localFiles()
	for name, f := range h.local {
		if parent, now := h.d.m.tree.at(&f.place); parent == h.d && now == name && !h.d.m.tree.isUnlinked(&f.place) {
			local[name] = f
		}
	}
	for _, name := range slices.Sorted(maps.Keys(local)) {
		if !h.given[name] {
			h.batch = append(h.batch, entry{name: name, obj: objstore.Object{MetadataKnown: true}})
		}
	}
	return nil
}

func (d *dir) localFile(name string) *file {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.local[name]
}

func (d *dir) localFiles() map[string]*file {
	d.mu.Lock()
	defer d.mu.Unlock()
	files := make(map[string]*file, len(d.local))
	maps.Copy(files, d.local)
	return files
}

// Lookup answers READDIRPLUS for the entry given last, from the listing.
func (h *dirHandle) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*gofs.Inode, syscall.Errno) {
	if n := h.d.believed(name, out); n != nil {
		return n, 0
	}
	i := h.next - 1
	if h.done || i < 0 || i >= len(h.batch) || h.batch[i].name != name { // not from the store
		return h.d.Lookup(ctx, name, out)
	}
	ctx, cancel := killable(ctx)
	defer cancel()
	prefix, release, err := h.d.m.tree.leaseIn(ctx, h.d)
	if err != nil {
		return nil, errno(err)
	}
	defer release()
	if prefix != h.prefix { // renamed while it is being read
		return nil, syscall.ENOENT
	}
	h.d.askFor(ctx, prefix, h.batch[i:])
	return h.d.nodeOf(ctx, prefix, h.batch[i], out)
}

// Seekdir goes to the entry after the one whose offset is off.
func (h *dirHandle) Seekdir(ctx context.Context, off uint64) syscall.Errno {
	if off == h.off {
		return 0
	}
	h.close()
	if err := h.start(ctx); err != nil {
		return errno(err)
	}
	for h.off < off {
		e, err := h.entry(ctx)
		if err != nil {
			return errno(err)
		}
		if e == nil {
			return 0
		}
		h.off++
	}
	return 0
}

func (h *dirHandle) close() {
	if h.pages != nil {
		h.pages.close()
		h.pages = nil
	}
}

func (h *dirHandle) Releasedir(context.Context, uint32) { h.close() }

func (h *dirHandle) Fsyncdir(ctx context.Context, flags uint32) syscall.Errno {
	return h.d.Fsync(ctx, nil, flags)
}
