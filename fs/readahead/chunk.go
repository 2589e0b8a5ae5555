package readahead

import (
	"context"
	"slices"
	"sort"
	"time"
)

// chunk is the range of one Get and what is held of it: the bytes [lo, end).
// Guarded by its Reader's mu, but for the bytes beyond filled, which belong to
// the Get.
type chunk struct {
	s        *stream
	off      int64 // of the first segment
	size     int64 // as asked for
	lo, end  int64 // lo rises as segments are given back; end falls if the Get fails
	filled   int64 // bytes before this offset have arrived
	segments []*segment
	running  bool
	dropped  bool
	err      error // of the Get
	cancel   context.CancelFunc
	asked    time.Time // when the Get began
	answered time.Time // when its first bytes came
	waiters  []*waiter
	reads    int // that wait, or are woken and yet to look: c stays for them
}

// waiter is a read that waits for the bytes before need.
type waiter struct {
	need  int64
	ready chan struct{}
}

func newChunk(s *stream, off, end int64) *chunk {
	n := (end - off + segmentSize - 1) / segmentSize
	return &chunk{
		s: s, off: off, size: end - off, lo: off, end: end, filled: off,
		segments: make([]*segment, n), running: true, asked: time.Now(),
	}
}

// index is the segment that holds the byte at off.
func (c *chunk) index(off int64) int { return int((off - c.off) / segmentSize) }

// first is the first segment that is not given back: lo is where one begins, or
// the end.
func (c *chunk) first() int { return c.index(c.lo + segmentSize - 1) }

// cost is what segment i takes from the budget.
func (c *chunk) cost(i int) int64 {
	return costOf(min(segmentSize, c.size-int64(i)*segmentSize))
}

// chunkCost is what a chunk of n bytes takes from the budget.
func chunkCost(n int64) int64 {
	return n/segmentSize*segmentSize + costOf(n%segmentSize)
}

// nearlyDone reports that the Get will be through before another, begun now,
// has its first byte: so no connection's share of the link goes unused while a
// request is on its way.
func (c *chunk) nearlyDone() bool {
	left := c.end - c.filled
	if !c.running || left <= c.size/4 {
		return true
	}
	if c.answered.IsZero() {
		return false
	}
	took := time.Since(c.answered)
	return float64(left)*float64(took) <= float64(c.filled-c.off)*float64(c.answered.Sub(c.asked))
}

// wake lets the reads go on whose bytes are there, or all of them.
func (c *chunk) wake(all bool) {
	c.waiters = slices.DeleteFunc(c.waiters, func(w *waiter) bool {
		if !all && c.filled < w.need {
			return false
		}
		close(w.ready)
		return true
	})
}

// search returns the index of the first chunk that ends after off, and that
// chunk if it covers off.
func (r *Reader) search(off int64) (int, *chunk) {
	i := sort.Search(len(r.chunks), func(i int) bool { return r.chunks[i].end > off })
	if i < len(r.chunks) && r.chunks[i].lo <= off {
		return i, r.chunks[i]
	}
	return i, nil
}

// release gives segment i of c back, now or when the last copy of it ends.
func (r *Reader) release(c *chunk, i int) int64 {
	cost := c.cost(i)
	c.s.held -= cost
	seg := c.segments[i]
	c.segments[i] = nil
	switch {
	case seg == nil:
		r.p.memory.Release(cost)
	case seg.pins > 0:
		seg.dead = true
		return 0
	default:
		r.free(seg)
	}
	return cost
}

func (r *Reader) free(seg *segment) {
	r.p.segments.put(seg.buf)
	seg.buf = nil
	r.p.memory.Release(seg.cost)
}

func (r *Reader) unpin(seg *segment) {
	seg.pins--
	if seg.dead && seg.pins == 0 {
		r.free(seg)
	}
}

// drop takes c out of the Reader, ends its Get, and returns the bytes given back.
func (r *Reader) drop(c *chunk) int64 {
	c.dropped = true
	c.cancel()
	got := int64(0)
	for i := c.first(); i < len(c.segments); i++ {
		got += r.release(c, i)
	}
	c.wake(true)
	r.chunks = slices.DeleteFunc(r.chunks, func(o *chunk) bool { return o == c })
	return got
}

// dropChunks gives back all that s holds and nobody waits for.
func (r *Reader) dropChunks(s *stream) int64 {
	got := int64(0)
	for i := len(r.chunks) - 1; i >= 0; i-- {
		if c := r.chunks[i]; c.s == s && c.reads == 0 {
			got += r.drop(c)
		}
	}
	return got
}

// dropOutside gives back what s holds outside of [off, end), unless somebody
// waits for it.
func (r *Reader) dropOutside(s *stream, off, end int64) {
	for i := len(r.chunks) - 1; i >= 0; i-- {
		if c := r.chunks[i]; c.s == s && c.reads == 0 && (c.end <= off || c.lo >= end) {
			r.drop(c)
		}
	}
}

// trim gives back what s has read, but the last keep bytes, and what it left
// out so far behind that nobody will come for it.
func (r *Reader) trim(s *stream, keep int64) int64 {
	if !s.sequential() {
		return 0
	}
	got := int64(0)
	for i := len(r.chunks) - 1; i >= 0; i-- {
		if c := r.chunks[i]; c.s == s && c.lo < s.next-keep {
			got += r.trimChunk(c, s.next-keep, s.next-s.reach())
		}
	}
	return got
}

// trimChunk gives back the segments before offset read that were read, and
// those before offset left whether they were or not.
func (r *Reader) trimChunk(c *chunk, read, left int64) int64 {
	if c.reads > 0 {
		return 0
	}
	if c.end <= left {
		return r.drop(c)
	}
	got := int64(0)
	for c.lo < c.end {
		i := c.first()
		off := c.off + int64(i)*segmentSize
		end := min(off+segmentSize, c.end)
		seg := c.segments[i]
		if end > c.filled || end > read || end > left && seg.read < end-off {
			break
		}
		got += r.release(c, i)
		c.lo = end
	}
	if c.lo == c.end && !c.running {
		return got + r.drop(c)
	}
	return got
}

// truncate cuts c to what has arrived.
func (r *Reader) truncate(c *chunk) {
	n := c.index(c.filled + segmentSize - 1)
	for i := max(n, c.first()); i < len(c.segments); i++ {
		r.release(c, i)
	}
	c.segments = c.segments[:n]
	c.end = c.filled
	if c.lo >= c.end {
		r.drop(c)
	}
}
