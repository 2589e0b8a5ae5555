package draft

import (
	"context"
	"errors"
	"io"
)

// ErrNotAtHand: the content is too large to be kept on the local disk, or part of it
// is in the store only.
var ErrNotAtHand = errors.New("not all of the content is at hand")

// stowed is what of the content a local copy has.
type stowed struct {
	id  string // that the object will carry
	seq int64  // of the draft when it was copied
}

// Stow gives the whole content to save, which keeps it and says where it can be read
// until the next commit; the memory is given back. The object of the next commit
// carries id, unless the content changes before. Stow makes no request: it fails with
// ErrNotAtHand where the content is more than a single Put, or parts of it are not
// here. Writes wait meanwhile, reads do not.
func (d *Draft) Stow(ctx context.Context, id string, save func(content []byte) (io.ReaderAt, error)) error {
	leave, err := d.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	d.mu.RLock()
	size, near := d.size, d.stream == nil && d.size <= d.p.whole
	for _, s := range d.segs(0, d.size, &d.staged) {
		near = near && (s.kind != remote || s.src.disk)
	}
	d.mu.RUnlock()
	if !near {
		return ErrNotAtHand
	}
	b := make([]byte, size)
	if size > 0 && !d.ReadNear(b, 0) {
		return ErrNotAtHand
	}
	local, err := save(b)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stow(id, local)
	d.drop(0, size)
	d.dirty.Clear()
	d.sweep()
	return nil
}

// stow makes local the place of the content. The caller holds mu.
func (d *Draft) stow(id string, local io.ReaderAt) {
	d.pieces.clear()
	d.setPiece(piece{0, d.size, &source{disk: true, local: local, fresh: true}, 0})
	d.stowed = stowed{id, d.seq}
}

// Stowed reports whether the content that is to be committed is what the last Stow
// had.
func (d *Draft) Stowed() bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.changed && d.stowed.id != "" && d.stowed.seq == d.seq
}

// Restore returns the draft of a file whose content was stowed by a process that
// died. Nobody knows whether that one has committed it: the next Commit finds out.
func (p *Pool) Restore(id string, local io.ReaderAt, size int64) *Draft {
	return p.draft(func(d *Draft) {
		d.size, d.changed = size, true
		d.stow(id, local)
		d.attempts = map[string]int64{id: d.seq}
	})
}

// nextID is the id of the write that a commit begins.
func (d *Draft) nextID() string {
	if d.Stowed() {
		d.mu.RLock()
		defer d.mu.RUnlock()
		return d.stowed.id
	}
	return newID()
}

// NewID gives a new id of a write.
func NewID() string { return newID() }

func (d *Draft) readDisk(src *source, b []byte, at int64) error {
	from := src.local
	if from == nil {
		from = &d.disk
	}
	_, err := from.ReadAt(b, at)
	return err
}
