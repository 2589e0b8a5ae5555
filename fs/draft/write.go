package draft

import (
	"context"
	"fmt"

	"github.com/pailfs/pailfs/fs/staging"
)

// reorder times the slack is how far behind the highest one the kernel may still
// have a write of a file that is written in order: all that it has in flight.
const reorder = 16

// WriteAt stages b at off. It blocks while the memory budget is exhausted. An
// error of an early upload is told here. After an error the bytes of [off,
// off+len(b)) are unknown, and the draft should not be committed.
func (d *Draft) WriteAt(ctx context.Context, b []byte, off int64) error {
	if off < 0 {
		return fmt.Errorf("write at %d: negative offset", off)
	}
	if off > d.p.MaxSize()-int64(len(b)) {
		return fmt.Errorf("write of %d bytes at %d: %w", len(b), off, ErrTooBig)
	}
	d.used.Store(d.p.clock.Add(1))
	if d.scattered() {
		if err := d.compact(ctx); err != nil {
			return err
		}
	}
	if err := d.op.Acquire(ctx, 1); err != nil {
		return err
	}
	defer d.op.Release(1)
	for len(b) > 0 {
		n := min(int64(len(b)), d.p.chunk-off%staging.Page)
		if err := d.write(ctx, b[:n], off); err != nil {
			return err
		}
		b, off = b[n:], off+n
	}
	return nil
}

// write stages one chunk.
func (d *Draft) write(ctx context.Context, b []byte, off int64) error {
	p, end := d.p, off+int64(len(b))
	var held int64
	for {
		d.mu.Lock()
		err := d.writable(off, end)
		cost := d.file.Cost(off, end)
		if err == nil && cost <= held {
			break
		}
		d.mu.Unlock()
		// Never wait while holding: what is held and not written is nothing
		// that anybody could reclaim.
		p.budget.release(held)
		if err != nil {
			return err
		}
		if err := p.budget.acquire(ctx, d.ctx.Done(), cost, p.press); err != nil {
			return err
		}
		held = cost
	}
	defer d.mu.Unlock()
	grown, err := d.file.Write(b, off)
	p.budget.release(held - grown)
	if err != nil {
		d.poison(err) // what was staged there may be half overwritten
		return d.fatal
	}
	d.jumpy = d.jumpy || d.jumps(off, end)
	d.touch(off, end)
	d.staged.Add(off, end)
	d.dirty.Add(off, end)
	d.size = max(d.size, end)
	d.frontier = max(d.frontier, end)
	d.advance(off, end)
	p.feed()
	return nil
}

// writable says whether [off, end) may be written. The caller holds mu.
func (d *Draft) writable(off, end int64) error {
	switch {
	case d.closed:
		return ErrDiscarded
	case d.fatal != nil:
		return d.fatal
	case d.early != nil:
		return d.early
	}
	return d.rewritable(off, end)
}

// jumps reports whether a write of [off, end) shows that the file is not written
// in order: it changes bytes behind the first part and well behind the frontier, or
// fills a hole further behind than the kernel reorders writes.
func (d *Draft) jumps(off, end int64) bool {
	back := d.frontier - off
	if back <= d.p.slack || off < d.p.ladder.first {
		return false
	}
	if back > reorder*d.p.slack {
		return true
	}
	end = min(end, d.frontier-d.p.slack)
	for range d.pieces.in(off, end) {
		return true
	}
	return d.dirty.Overlaps(off, end)
}

// touch notes that [off, end) changes. The caller holds mu.
func (d *Draft) touch(off, end int64) {
	d.changed = true
	d.seq++
	d.sum.touch(off)
	if d.spilling != nil {
		d.spilling.changed.Add(off, end)
	}
	if d.stream != nil {
		d.stream.touch(off, end)
	}
}

// Truncate changes the size. New bytes are zeros.
func (d *Draft) Truncate(ctx context.Context, size int64) error {
	if size < 0 {
		return fmt.Errorf("truncate to %d: negative size", size)
	}
	if size > d.p.MaxSize() {
		return fmt.Errorf("truncate to %d: %w", size, ErrTooBig)
	}
	d.used.Store(d.p.clock.Add(1))
	if err := d.op.Acquire(ctx, 1); err != nil {
		return err
	}
	defer d.op.Release(1)
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.closed:
		return ErrDiscarded
	case d.fatal != nil:
		return d.fatal
	case size == d.size:
		return nil
	case size > d.size:
		d.touch(d.size, size)
		d.size = size
		return nil
	}
	if size > 0 {
		if err := d.cuttable(size); err != nil {
			return err
		}
	}
	old := d.size
	d.touch(size, old)
	d.size = size
	d.frontier = min(d.frontier, size)
	d.dirty.Remove(size, old)
	d.setPiece(piece{off: size, end: old})
	d.drop(size, old)
	if size == 0 {
		// A fresh start: whatever was sent is of no use.
		d.abandon()
		d.jumpy, d.noStream, d.early, d.sum.late = false, false, nil, false
	} else if d.stream != nil {
		d.stream.cut(size)
	}
	d.sweep()
	d.signal()
	return nil
}
