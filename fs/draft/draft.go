package draft

import (
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/semaphore"

	"github.com/pailfs/pailfs/fs/staging"
	"github.com/pailfs/pailfs/objstore"
)

// writers is the weight of Draft.op: a write or truncate takes 1 of it, a
// commit all.
const writers = 1 << 30

// Draft is one file that is being written. All methods are safe for concurrent
// use.
type Draft struct {
	p    *Pool
	op   *semaphore.Weighted
	used atomic.Int64 // when it was used last, by Pool.clock

	// ctx ends when the draft is discarded; work in the background runs under it.
	ctx    context.Context
	cancel context.CancelFunc

	// mu guards what follows. It is held over reads and writes of the staging
	// files, never over a call of the store or of start.
	mu      sync.RWMutex
	file    staging.File // has zeros where staged has nothing
	disk    staging.File // bytes moved to the cache directory
	diskSrc *source
	staged  staging.Set // what file holds
	dirty   staging.Set // part of staged: what pieces do not have
	pieces  pieces      // where all other bytes are
	mapped  int64       // counts changes of pieces and sources
	private map[*source]struct{}

	sum      running // of the bytes from the first on
	size     int64
	frontier int64 // behind the highest byte written since the last commit
	changed  bool  // bytes or size differ from the last commit
	seq      int64 // counts changes
	jumpy    bool  // the file is not written in order

	base     *source          // the last committed object, or nil
	attempts map[string]int64 // ids of commits of unknown outcome, seq at that time
	stowed   stowed

	start    func() Target
	stream   *stream
	noStream bool  // an early upload failed: none until the next commit
	early    error // failure of an early upload, told by the next write
	fatal    error // bytes were lost, nothing may be committed

	busy     bool   // a commit reads the staged bytes
	spilling *spill // bytes on their way to a private object
	closed   bool
	event    chan struct{} // closed when a waiting commit should look again
}

// Size is the size of the file.
func (d *Draft) Size() int64 {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.size
}

// Dirty reports whether bytes or size differ from the last commit. A new draft
// that was never committed is dirty, also when it is empty.
func (d *Draft) Dirty() bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.changed
}

// Streaming reports whether an early upload is under way: its key and condition
// are fixed until the next commit.
func (d *Draft) Streaming() bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.stream != nil
}

// Start says whom to ask for the Target when an early upload begins. The
// function is called without locks of the draft. Without it there are no early
// uploads.
func (d *Draft) Start(target func() Target) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.start = target
}

// Base returns the object that the last commit made, or that the draft edits.
func (d *Draft) Base() (objstore.Object, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.base == nil {
		return objstore.Object{}, false
	}
	return d.base.obj, true
}

// SetBase says that the object of Base, with the same bytes, is obj now: it was
// renamed or copied inside the store, or its metadata were rewritten.
func (d *Draft) SetBase(obj objstore.Object) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.base == nil {
		return
	}
	d.base.obj = obj
	d.mapped++
}

// Next returns where the next bytes (or, with hole, the next hole) begin at or
// behind off, as lseek wants them. The end of the file is a hole. It is io.EOF
// at or behind the end, or when no bytes follow.
func (d *Draft) Next(off int64, hole bool) (int64, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if off < 0 || off >= d.size {
		return 0, io.EOF
	}
	for _, s := range d.segs(off, d.size, &d.staged) {
		if (s.kind == zeros) == hole {
			return s.off, nil
		}
	}
	if hole {
		return d.size, nil
	}
	return 0, io.EOF
}

// segs says where the bytes of [off, end) are, top over the pieces. The caller
// holds mu.
func (d *Draft) segs(off, end int64, top *staging.Set) []seg {
	var list []seg
	below := func(off, end int64) {
		for p := range d.pieces.in(off, end) {
			if off < p.off {
				list = append(list, seg{off: off, end: p.off})
			}
			list = append(list, seg{p.off, p.end, remote, p.src, p.at})
			off = p.end
		}
		if off < end {
			list = append(list, seg{off: off, end: end})
		}
	}
	for e := range top.In(off, end) {
		below(off, e.Off)
		list = append(list, seg{off: e.Off, end: e.End, kind: staged})
		off = e.End
	}
	below(off, end)
	return list
}

// lost is the first run of [off, end) that is only in an upload.
func (d *Draft) lost(off, end int64) (seg, bool) {
	for p := range d.pieces.in(off, end) {
		if !p.src.gone || d.dirty.Covers(p.off, p.end) {
			continue
		}
		for _, s := range d.segs(p.off, p.end, &d.dirty) {
			if s.gone() {
				return s, true
			}
		}
	}
	return seg{}, false
}

// setPiece changes where bytes are. The caller holds mu and calls sweep when done.
func (d *Draft) setPiece(n piece) {
	if n.src != nil && n.src.private {
		if d.private == nil {
			d.private = map[*source]struct{}{}
		}
		d.private[n.src] = struct{}{}
	}
	d.pieces.set(n)
	d.mapped++
}

// sweep deletes the private objects that no piece names. The caller holds mu.
func (d *Draft) sweep() {
	for s := range d.private {
		if s.refs == 0 {
			delete(d.private, s)
			d.p.remove(s.obj.Key)
		}
	}
	if d.diskSrc.refs == 0 {
		d.p.disk.release(d.disk.Reset())
	}
}

// drop gives back the memory of [off, end), which pieces have. The caller holds mu.
func (d *Draft) drop(off, end int64) int64 {
	d.staged.Remove(off, end)
	if d.staged.Count() == 0 {
		freed := d.file.Reset()
		d.p.budget.release(freed)
		return freed
	}
	freed, err := d.file.Punch(off, end, &d.staged)
	if err != nil {
		// The bytes would be taken for zeros where a hole is: never go on.
		return freed + d.poison(err)
	}
	d.p.budget.release(freed)
	return freed
}

// poison makes the draft good for nothing but Discard, and frees its memory. The
// caller holds mu.
func (d *Draft) poison(err error) int64 {
	d.fatal = fmt.Errorf("staging: %w", err)
	d.staged.Clear()
	d.dirty.Clear()
	freed := d.file.Reset()
	d.p.budget.release(freed)
	return freed
}

// signal wakes those who wait for a change of the draft. The caller holds mu.
func (d *Draft) signal() {
	close(d.event)
	d.event = make(chan struct{})
	d.p.poke()
}

// wait releases mu until the next signal, or fails when ctx ends.
func (d *Draft) wait(ctx context.Context) error {
	event := d.event
	d.mu.Unlock()
	defer d.mu.Lock()
	select {
	case <-event:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Discard drops everything: staged bytes, private objects, the upload under
// way. The store is told in the background; Pool.Wait waits for that.
func (d *Draft) Discard() {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return
	}
	d.closed = true
	d.cancel()
	d.signal()
	d.mu.Unlock()
	d.p.mu.Lock()
	delete(d.p.drafts, d)
	d.p.mu.Unlock()

	d.mu.Lock()
	quiet := d.spilling == nil && d.stream == nil
	d.mu.Unlock()
	if quiet && d.op.TryAcquire(writers) {
		d.free()
		d.op.Release(writers)
		return
	}
	d.p.run(func() {
		_ = d.op.Acquire(context.WithoutCancel(d.ctx), writers) // cannot fail: no end
		defer d.op.Release(writers)
		d.free()
	})
}

// free drops everything when no operation is under way any more.
func (d *Draft) free() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.abandon()
	for d.spilling != nil {
		_ = d.wait(context.WithoutCancel(d.ctx)) // a spill ends soon: ctx is cancelled
	}
	d.pieces.clear()
	d.sweep()
	d.staged.Clear()
	d.dirty.Clear()
	d.p.budget.release(d.file.Close())
	d.p.disk.release(d.disk.Close())
	d.p.poke()
}
