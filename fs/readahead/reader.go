package readahead

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"

	"github.com/pailfs/pailfs/objstore"
)

// Reader reads one version of one object. It is safe for concurrent use.
type Reader struct {
	p       *Pool
	key     string
	version objstore.Version
	size    int64

	running sync.WaitGroup // reads and Gets

	mu      sync.Mutex
	closed  bool
	tick    int64
	strides strides
	streams []*stream
	chunks  []*chunk // in order, none overlaps another
	direct  map[*context.CancelFunc]struct{}
}

// ReadAt reads at off as io.ReaderAt has it: short, with io.EOF, only at the end
// of the object. An object of another version is objstore.ErrCond. Once the
// Reader is closed it is fs.ErrClosed.
func (r *Reader) ReadAt(ctx context.Context, b []byte, off int64) (int, error) {
	switch {
	case off < 0:
		return 0, fmt.Errorf("read %q: negative offset %d", r.key, off)
	case len(b) == 0:
		return 0, nil
	case off >= r.size:
		return 0, io.EOF
	}
	want := b[:min(int64(len(b)), r.size-off)]
	end := off + int64(len(want))

	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return 0, fs.ErrClosed
	}
	r.running.Add(1)
	defer r.running.Done()

	shared := context.WithoutCancel(ctx) // others may wait for the same Gets
	s := r.note(off, end)
	r.demand(shared, s, off, end)
	r.ahead(shared, s)
	n, err := r.copyOut(ctx, shared, s, want, off)
	s = s.final()
	s.reads--
	r.trim(s, keep)
	if err == nil && n < len(b) {
		err = io.EOF
	}
	return n, err
}

// copyOut fills b from the chunks as they fill. r.mu is held but while it waits
// or copies.
func (r *Reader) copyOut(ctx, shared context.Context, s *stream, b []byte, off int64) (int, error) {
	n, end := 0, off+int64(len(b))
	for n < len(b) {
		pos := off + int64(n)
		if r.closed {
			return n, fs.ErrClosed
		}
		_, c := r.search(pos)
		if c == nil { // no memory when it was asked for, or dropped since
			r.demand(shared, s.final(), pos, end)
			if _, c = r.search(pos); c == nil {
				m, err := r.readDirect(ctx, b[n:], pos)
				n += m
				if err != nil {
					return n, err
				}
				continue
			}
		}
		if need := min(end, c.end); c.filled < need {
			if err := r.wait(ctx, c, need); err != nil {
				return n, err
			}
			continue
		}
		n += r.copyChunk(b[n:], c, pos)
	}
	return n, nil
}

// wait waits until c is filled to need. Unless it fails, the caller must look
// again, as the chunk may be gone. r.mu is given up meanwhile.
func (r *Reader) wait(ctx context.Context, c *chunk, need int64) error {
	w := &waiter{need: need, ready: make(chan struct{})}
	c.waiters = append(c.waiters, w)
	c.reads++
	r.mu.Unlock()
	var cancelled error
	select {
	case <-w.ready:
	case <-ctx.Done():
		cancelled = ctx.Err()
	}
	r.mu.Lock()
	c.reads--
	if cancelled != nil {
		c.waiters = slices.DeleteFunc(c.waiters, func(o *waiter) bool { return o == w })
		return cancelled
	}
	if c.filled < need {
		return c.err
	}
	return nil
}

// copyChunk copies what c has at pos. r.mu is given up meanwhile.
func (r *Reader) copyChunk(b []byte, c *chunk, pos int64) int {
	n := min(int64(len(b)), c.filled-pos)
	var few [9]*segment // a READ of 1 MiB
	segs := append(few[:0], c.segments[c.index(pos):c.index(pos+n-1)+1]...)
	for _, seg := range segs {
		seg.pins++
	}
	r.mu.Unlock()
	at, done := (pos-c.off)%segmentSize, int64(0)
	for _, seg := range segs {
		done += int64(copy(b[done:n], seg.buf[at:]))
		at = 0
	}
	r.mu.Lock()
	at = (pos - c.off) % segmentSize
	for left := n; left > 0; at = 0 {
		seg := segs[0]
		m := min(left, segmentSize-at)
		seg.read += m
		r.unpin(seg)
		segs, left = segs[1:], left-m
	}
	return int(n)
}

// readDirect reads into b what no chunk covers, without memory of its own. r.mu
// is given up meanwhile.
func (r *Reader) readDirect(ctx context.Context, b []byte, off int64) (int, error) {
	n := int64(len(b))
	if i, _ := r.search(off); i < len(r.chunks) {
		n = min(n, r.chunks[i].lo-off)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if r.direct == nil {
		r.direct = make(map[*context.CancelFunc]struct{})
	}
	r.direct[&cancel] = struct{}{}
	r.mu.Unlock()
	d := &slice{b: b[:n]}
	err := r.transfer(ctx, off, off+n, d)
	r.mu.Lock()
	delete(r.direct, &cancel)
	if err != nil && r.closed && errors.Is(err, context.Canceled) {
		err = fs.ErrClosed
	}
	return d.n, err
}

// slice is the target of a direct read.
type slice struct {
	b []byte
	n int
}

func (d *slice) space() []byte { return d.b[d.n:] }
func (d *slice) fill(n int)    { d.n += n }
func (d *slice) rewind()       { d.n = 0 }

// Close ends the Gets of r, waits for them and for the reads, which fail, and
// gives all its memory back. It may be called more than once.
func (r *Reader) Close() {
	r.mu.Lock()
	first := !r.closed
	r.closed = true
	if first {
		for len(r.chunks) > 0 {
			r.drop(r.chunks[len(r.chunks)-1])
		}
		for cancel := range r.direct {
			(*cancel)()
		}
		r.p.forget(r.streams...)
		r.streams = nil
	}
	r.mu.Unlock()
	r.running.Wait()
	if first {
		r.p.closed()
	}
}
