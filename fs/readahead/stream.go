package readahead

import (
	"container/list"
	"math"
)

const (
	// firstGet must cover the kernel's own first readahead: 1 MiB, and the
	// 128 KiB that a reader of the first MiB makes the kernel ask for beyond.
	firstGet = mib + 128*kib

	minWindow = 256 * kib
	minChunk  = mib
	maxChunk  = 8 * mib

	maxStreams = 8  // sequential ones of a Reader
	maxSeeds   = 16 // others

	maxYoung = 8 * mib // read by a stream that may be the front of another
	recently = 256     // reads of a Reader since a stream was used

	maxRun  = 16 * mib // of reads in order that are remembered
	maxSeek = 16 * mib // forward, that does not end a stream
	keep    = mib      // bytes kept behind a stream, for a short seek back
)

// stream is a run of reads that go forward. Guarded by its Reader's mu.
type stream struct {
	r           *Reader
	start, next int64 // what was read, with holes; next is the highest end
	run         int64 // bytes read in order of late
	window      int64 // bytes to have ahead of next; 0 for a seed
	share       int64 // what the Pool allows of it
	held        int64 // bytes of the budget
	reads       int   // going on
	used        int64 // tick of the Reader
	fresh       bool  // nothing was asked for yet
	failed      bool  // the last Get ahead failed: wait for a read to try again
	into        *stream

	turn *list.Element // guarded by Pool.mu
}

func (s *stream) sequential() bool { return s.window > 0 }

// final is the stream that s has become part of.
func (s *stream) final() *stream {
	for s.into != nil {
		s = s.into
	}
	return s
}

// reach is how far from next a read may be and still belong to the stream.
func (s *stream) reach() int64 {
	if !s.sequential() {
		return 0
	}
	return min(max(s.window, keep), maxSeek)
}

// low is the least offset that counts as read by s.
func (s *stream) low() int64 {
	if !s.sequential() {
		return s.start
	}
	return max(s.start, s.next-s.reach())
}

// touches reports that what s and t have read is one range.
func (s *stream) touches(t *stream) bool {
	if !s.sequential() && !t.sequential() {
		return t.start == s.next || s.start == t.next
	}
	if !s.sequential() || !t.sequential() {
		return t.low() <= s.next && s.low() <= t.next
	}
	// One has come to where the other began a moment ago. Otherwise they are two
	// that read the same.
	if t.start < s.start {
		s, t = t, s
	}
	return s.low() <= t.start && t.start <= s.next && t.next-t.start <= maxYoung
}

// near reports whether a read belongs to s, and how far it is from its end.
func (s *stream) near(off, end int64) (distance int64, ok bool) {
	distance = max(off-s.next, s.next-off)
	if s.sequential() {
		return distance, distance <= s.reach()
	}
	// Streams go on where they were; reads that overlap do so by chance.
	return distance, off == s.next || end == s.start || off >= s.start && end <= s.next
}

// advance adds a read that is near to s.
func (s *stream) advance(off, end, maxWindow int64) {
	n, gap := end-off, off-s.next
	grows := off < s.start || end > s.next
	if gap > 0 {
		// Requests of one stream overtake each other, above all those that are
		// going on at once: the gap is paid back when it fills. A seek is not,
		// and one who skips more than it reads is no stream.
		switch {
		case gap <= keep:
			s.run -= gap / 8
		case s.reads > 0:
			s.run -= gap / 4
		default:
			s.run -= gap
		}
		if s.run < min(n, minWindow/8) {
			s.r.strides.ended(s.next - s.start)
			s.start, s.next, s.run, s.window = off, end, n, 0
			s.r.dropOutside(s, off, end)
			return
		}
	}
	s.start, s.next = min(s.start, off), max(s.next, end)
	s.r.strides.longer(s.next - s.start)
	s.run = min(s.run+n, maxRun)
	if s.sequential() || grows {
		s.open(maxWindow)
	}
	if gap > keep && s.window < maxYoung {
		s.r.dropOutside(s, s.next-maxSeek, s.next+maxYoung) // of a window once larger
	}
}

// strides knows a reader that reads so many bytes and skips, again and again: it
// wants those, and nothing beyond them. Guarded by its Reader's mu.
type strides struct {
	n   int   // runs of about the same length, one after the other
	run int64 // bytes, of the longest of them
}

const fewStrides = 4 // that chance may make

func (t *strides) ended(run int64) {
	switch {
	case run > maxYoung:
		*t = strides{}
	case run >= t.run*3/4 && run <= t.run*5/4:
		t.n, t.run = t.n+1, max(t.run, run)
	default:
		t.n, t.run = 1, run
	}
}

func (t *strides) longer(run int64) {
	if run > 2*t.run {
		*t = strides{}
	}
}

// end is where what a reader wants that began at start ends, as far as it is known.
func (t *strides) end(start int64) int64 {
	if t.n < fewStrides {
		return math.MaxInt64
	}
	return start + t.run
}

// open makes s sequential, with a window that follows its run.
func (s *stream) open(maxWindow int64) {
	s.window = max(min(8*s.run, maxWindow), minWindow)
}

// chunk is the size of the next Get ahead of s: small enough that one can begin
// before the oldest has been read, so that no connection waits for the reader.
func (s *stream) chunk(window int64) int64 {
	n := window * 2 / 3 / int64(s.r.p.parallel) &^ (segmentSize - 1)
	return min(max(n, min(minChunk, window/2), segmentSize), s.r.p.maxGet)
}

// note finds or makes the stream of a read. r.mu is held.
func (r *Reader) note(off, end int64) *stream {
	var s *stream
	best := int64(0)
	for _, t := range r.streams {
		if d, ok := t.near(off, end); ok && (s == nil || d < best) {
			s, best = t, d
		}
	}
	if s == nil {
		if t := r.latest(); t != nil && t.reads == 0 {
			r.strides.ended(t.next - t.start)
		}
		s = &stream{r: r, start: off, next: end, run: end - off, fresh: true}
		if off == 0 {
			s.window = max(firstGet-end, 1) // so that the first read is one Get
		}
		r.streams = append(r.streams, s)
	} else {
		s.advance(off, end, r.p.maxWindow)
	}
	r.tick++
	s.used = r.tick
	s.reads++
	r.join(s)
	r.evict()
	s.share = r.p.touch(s)
	return s
}

// latest is the stream that was used last.
func (r *Reader) latest() (s *stream) {
	for _, t := range r.streams {
		if s == nil || t.used > s.used {
			s = t
		}
	}
	return s
}

// join merges into s what it has come to touch: reads of one stream that arrived
// before those that connect them.
func (r *Reader) join(s *stream) {
	for i := 0; i < len(r.streams); i++ {
		t := r.streams[i]
		if t == s || !s.touches(t) {
			continue
		}
		s.start, s.next = min(s.start, t.start), max(s.next, t.next)
		s.run = min(s.run+t.run, maxRun)
		s.open(r.p.maxWindow)
		s.held += t.held
		s.reads += t.reads
		for _, c := range r.chunks {
			if c.s == t {
				c.s = s
			}
		}
		t.held, t.into = 0, s
		r.remove(i)
		i = -1 // s covers more now
	}
}

// evict drops the streams beyond what a Reader keeps, the longest unused first.
// Those that are being read stay.
func (r *Reader) evict() {
	if len(r.streams) <= maxStreams {
		return
	}
	var n, oldest [2]int
	for i, s := range r.streams {
		k := 0
		if s.sequential() {
			k = 1
		}
		if s.reads > 0 {
			continue
		}
		if n[k] == 0 || s.used < r.streams[oldest[k]].used {
			oldest[k] = i
		}
		n[k]++
	}
	switch {
	case n[0] > maxSeeds:
		r.dropStream(oldest[0])
	case n[1] >= maxStreams:
		r.dropStream(oldest[1])
	}
}

func (r *Reader) dropStream(i int) {
	s := r.streams[i]
	r.dropChunks(s)
	if s.held == 0 {
		r.remove(i)
	}
}

func (r *Reader) remove(i int) {
	s := r.streams[i]
	r.streams[i] = r.streams[len(r.streams)-1]
	r.streams = r.streams[:len(r.streams)-1]
	r.p.forget(s)
}
