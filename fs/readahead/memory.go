package readahead

import "sync"

// segmentSize is the unit in which memory is given out and back: one READ of
// the kernel with its default readahead.
const segmentSize = 128 * kib

// segment holds some bytes of a chunk.
type segment struct {
	buf  []byte
	cost int64 // bytes of the budget
	read int64 // bytes handed out
	pins int   // copies into or out of buf that are going on
	dead bool  // given back when the last pin goes
}

// costOf is what a segment of n bytes takes from the budget.
func costOf(n int64) int64 {
	if n > segmentSize/2 {
		return segmentSize
	}
	return (n + 4*kib - 1) &^ (4*kib - 1)
}

// segments hands out buffers. Those of segmentSize live outside of the Go heap,
// so that one given back is really gone and the collector does not let the
// process grow to twice the budget; a few are kept for the next to come.
type segments struct {
	mu   sync.Mutex
	free [][]byte
	keep int
}

func newSegments(keep int) *segments { return &segments{keep: keep} }

// get returns a buffer of the given cost.
func (g *segments) get(cost int64) []byte {
	if cost != segmentSize {
		return make([]byte, cost)
	}
	g.mu.Lock()
	if n := len(g.free); n > 0 {
		b := g.free[n-1]
		g.free = g.free[:n-1]
		g.mu.Unlock()
		return b
	}
	g.mu.Unlock()
	return mapSegment()
}

// put takes a buffer back. Nobody may use it any more.
func (g *segments) put(b []byte) {
	if int64(len(b)) != segmentSize {
		return
	}
	scrub(b)
	g.mu.Lock()
	if len(g.free) < g.keep {
		g.free = append(g.free, b)
		b = nil
	}
	g.mu.Unlock()
	if b != nil {
		unmapSegment(b)
	}
}

// drain gives the spare buffers back to the system.
func (g *segments) drain() {
	g.mu.Lock()
	free := g.free
	g.free = nil
	g.mu.Unlock()
	for _, b := range free {
		unmapSegment(b)
	}
}
