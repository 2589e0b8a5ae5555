package readahead

import (
	"context"
	"math"
	"slices"
)

// demand begins Gets for what no chunk covers of [off, end), as far as there is
// memory. r.mu is held.
func (r *Reader) demand(shared context.Context, s *stream, off, end int64) {
	for pos := off; pos < end; {
		i, c := r.search(pos)
		if c != nil {
			pos = c.end
			continue
		}
		need := end
		if i < len(r.chunks) {
			need = min(need, r.chunks[i].lo)
		}
		from, to := r.span(s, pos, need)
		s.failed, s.fresh = false, false
		if !r.start(shared, s, pos, from, to) && !r.start(shared, s, pos, pos, need) {
			return
		}
		pos = need
	}
}

// span is what to get where a read needs [pos, need).
func (r *Reader) span(s *stream, pos, need int64) (from, to int64) {
	stride := r.strides.end(s.start)
	switch {
	case r.size <= firstGet:
		return 0, r.size
	case stride > need && stride < math.MaxInt64:
		return pos, aligned(stride + segmentSize - 1)
	case !s.sequential():
		// One block at most beyond what is asked: small reads often have
		// neighbours, and the time is in the request.
		if block := pos &^ (segmentSize - 1); need <= block+segmentSize {
			return block, block + segmentSize
		}
		return pos, need
	case s.fresh:
		return pos, max(need, aligned(pos+firstGet))
	case need < s.next && s.reads > 1: // overtaken: what follows was asked for by others
		return pos, need
	case need < s.next: // behind
		return pos, max(need, aligned(pos+s.chunk(2*mib)))
	}
	return pos, max(need, aligned(pos+s.chunk(min(s.window, s.share))))
}

// aligned is where a Get that may end at off ends: what a cache below keeps are
// whole segments, wherever in the file a stream began.
func aligned(off int64) int64 { return off &^ (segmentSize - 1) }

// ahead begins the Gets that the window of s has room for. r.mu is held.
func (r *Reader) ahead(shared context.Context, s *stream) {
	if !s.sequential() || s.failed || r.closed {
		return
	}
	window := min(s.window, s.share)
	limit, edge := min(s.next+window, r.size, r.strides.end(s.start)), r.size
	for _, t := range r.streams {
		// That stretch is read by another, and may be gone already.
		if t != s && t.sequential() && t.start > s.next && t.used > r.tick-recently {
			edge = min(edge, t.start)
		}
	}
	limit = min(limit, edge)
	chunk := s.chunk(window)
	for pos, flying := s.next, 0; ; {
		i, _ := r.search(pos)
		for ; i < len(r.chunks) && r.chunks[i].lo <= pos; i++ {
			if !r.chunks[i].nearlyDone() {
				flying++
			}
			pos = r.chunks[i].end
		}
		if pos >= limit || flying >= r.p.parallel {
			return
		}
		n, least := chunk, min(chunk, minChunk)
		if pos == s.next {
			least = min(chunk, segmentSize) // a small Get is better than none
		} else if limit < edge && limit-pos < chunk {
			return
		}
		for !r.start(shared, s, pos, pos, min(aligned(pos+n), edge)) {
			if n /= 2; n < least {
				return
			}
		}
	}
}

// start begins a Get of [from, to), less what is outside of the object or in
// other chunks than the gap around pos. It reports false if there is no memory
// for it. r.mu is held.
func (r *Reader) start(shared context.Context, s *stream, pos, from, to int64) bool {
	i, _ := r.search(pos)
	if i > 0 {
		from = max(from, r.chunks[i-1].end)
	}
	if to = min(to, r.size, from+r.p.maxGet); i < len(r.chunks) {
		to = min(to, r.chunks[i].lo)
	}
	cost := chunkCost(to - from)
	if !r.p.reserve(s, cost) {
		return false
	}
	c := newChunk(s, from, to)
	ctx, cancel := context.WithCancel(shared)
	c.cancel = cancel
	s.held += cost
	i, _ = r.search(pos) // others may have been given back
	r.chunks = slices.Insert(r.chunks, i, c)
	r.running.Add(1)
	go r.fetch(ctx, shared, c)
	return true
}
