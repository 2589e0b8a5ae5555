package draft

import (
	"context"
	"fmt"
	"sort"

	"github.com/pailfs/pailfs/objstore"
)

// stream is an early upload: parts go out while the file is being written.
type stream struct {
	key    string
	cond   objstore.Cond
	ctx    context.Context // of its calls; ends when it is abandoned
	cancel context.CancelFunc

	// Draft.mu guards what follows.
	up       objstore.Upload
	id       string
	metadata map[string]string // as the upload was begun with
	soft     map[string]string // those of them that nobody insists on
	parts    []*part
	ladder   ladder
	head     int  // parts that are copied from the base
	low      int  // parts below were dropped, or are kept
	pending  int  // calls under way, the beginning included
	begun    bool // up is set
	broken   bool // its commit failed for good
}

// part is one part of a stream. It covers [off, end), cut by the size of the file.
type part struct {
	off, end int64
	gen      int64 // counts changes, from 1
	sentGen  int64 // what was sent; 0: nothing
	sentEnd  int64
	flying   bool
	tried    bool  // by the commit under way
	err      error // of the last try
}

// valid reports whether the store has the part as it is in a file of size bytes.
func (p *part) valid(size int64) bool {
	return !p.flying && p.sentGen == p.gen && p.sentEnd == min(p.end, size)
}

// extend plans parts up to end.
func (s *stream) extend(end int64) {
	for s.top() < end {
		n, off := len(s.parts), s.top()
		s.parts = append(s.parts, &part{off: off, end: off + s.ladder.size(n, off), gen: 1})
	}
}

func (s *stream) top() int64 {
	if len(s.parts) == 0 {
		return 0
	}
	return s.parts[len(s.parts)-1].end
}

// at is the index of the part that holds off, or len(parts).
func (s *stream) at(off int64) int {
	return sort.Search(len(s.parts), func(i int) bool { return s.parts[i].end > off })
}

// touch makes the parts of [off, end) stale.
func (s *stream) touch(off, end int64) {
	for i := s.at(off); i < len(s.parts) && s.parts[i].off < end; i++ {
		s.parts[i].gen++
		s.low = min(s.low, i)
	}
}

// cut forgets that anything was sent of the parts behind size.
func (s *stream) cut(size int64) {
	for _, p := range s.parts[s.at(size):] {
		if p.off >= size {
			p.sentGen = 0
		}
	}
}

// kept reports whether part i stays in memory until the commit: programs write
// the head of a file again when they are done with the rest.
func (s *stream) kept(i int) bool { return i == 0 && s.head == 0 }

// advance begins the early upload, or sends parts, after [off, end) was
// written. The caller holds mu.
func (d *Draft) advance(off, end int64) {
	if d.stream == nil {
		d.stream = d.begin(d.p.slack)
		return
	}
	s := d.stream
	s.extend(d.frontier)
	for i := s.at(max(off-d.p.slack-1, 0)); i < len(s.parts) && s.parts[i].off < end; i++ {
		d.offer(s, i, d.p.slack)
	}
}

// begin starts an early upload once the first part that it would send is
// complete, and the writer is slack bytes further. The caller holds mu.
func (d *Draft) begin(slack int64) *stream {
	p := d.p
	if d.start == nil || d.noStream || d.jumpy || d.closed || d.busy || p.caps.OrderedParts || d.frontier <= p.ladder.first {
		return nil
	}
	head, ok := d.head()
	if !ok {
		return nil
	}
	s := &stream{ladder: p.ladder}
	if head > 0 {
		// At most a quarter of all parts for the copies, of 1 GiB if that will do.
		want := min(max(gib, head/int64(max(p.caps.MaxParts/4, 1))+1), p.ladder.max)
		for _, c := range even(0, head, want, p.caps.MinPart, p.ladder.max) {
			s.parts = append(s.parts, &part{off: c.off, end: c.end, gen: 1})
		}
		s.head = len(s.parts)
		if !p.ladder.reaches(s.head, head) {
			return nil
		}
	}
	s.low = s.head
	s.extend(head + 1)
	if !d.complete(s.parts[s.head], slack) || d.frontier <= s.parts[s.head].end {
		return nil
	}
	s.ctx, s.cancel = context.WithCancel(d.ctx)
	s.pending = 1
	s.extend(d.frontier)
	start := d.start
	p.run(func() { d.open(s, start) })
	return s
}

// head is how many leading bytes an early upload would copy from the object they
// are in: 0 for a new file or a small one, which is sent again.
func (d *Draft) head() (int64, bool) {
	if len(d.pieces.list) == 0 || d.pieces.list[0].off > 0 {
		return 0, true
	}
	limit := d.pieces.list[0].end
	head := limit
	if low, ok := d.dirty.Min(); ok {
		head = min(head, low)
	}
	if first := d.p.ladder.first; head >= first {
		return head, head > limit-first
	}
	return 0, limit < d.p.ladder.first
}

// open asks for the target and makes the upload.
func (d *Draft) open(s *stream, start func() Target) {
	t := start()
	id := newID()
	opt := t.put(id, d.p.caps)
	if d.p.opt.SHA256 {
		opt.Metadata[objstore.MetaSHA256] = objstore.SHA256Later
	}
	up, err := d.p.store.NewUpload(s.ctx, t.Key, opt)
	d.mu.Lock()
	defer d.mu.Unlock()
	defer d.signal()
	s.pending--
	if err == nil && s.head > 0 {
		if _, ok := up.(objstore.PartCopier); !ok {
			d.p.abort(t.Key, up)
			up = nil
		}
	}
	if up == nil {
		if d.stream == s {
			d.stream, d.noStream = nil, true
			if err != nil {
				d.early = fmt.Errorf("begin upload: %w", err)
			}
		}
		s.cancel()
		return
	}
	s.up, s.begun, s.key, s.cond, s.id, s.metadata, s.soft = up, true, t.Key, t.Cond, id, opt.Metadata, t.Soft
	if d.stream == s {
		d.offerAll(s, d.p.slack)
	}
}

// offerAll sends every part that may go. The caller holds mu.
func (d *Draft) offerAll(s *stream, slack int64) {
	s.extend(d.frontier)
	for i := range s.parts {
		d.offer(s, i, slack)
	}
}

// offer sends part i if nothing of it was sent yet, and it is complete. The
// caller holds mu.
func (d *Draft) offer(s *stream, i int, slack int64) {
	p := s.parts[i]
	if !s.begun || d.early != nil || p.flying || p.sentGen != 0 || p.err != nil {
		return
	}
	if i < s.head && p.end <= d.size || d.complete(p, slack) {
		d.send(s, i)
	}
}

// complete reports whether the writer has filled the part and is slack further.
func (d *Draft) complete(p *part, slack int64) bool {
	if p.end+slack > d.frontier {
		return false
	}
	if d.dirty.Covers(p.off, p.end) {
		return true
	}
	for _, s := range d.segs(p.off, p.end, &d.dirty) {
		if s.kind == zeros || s.gone() {
			return false
		}
	}
	return true
}

// send sends part i in the background. The caller holds mu and has made sure
// that the part is not flying: two sends of one number could arrive in any order.
func (d *Draft) send(s *stream, i int) {
	p := s.parts[i]
	p.flying = true
	s.pending++
	d.p.fly(func() { d.fly(s, i, p) })
}

func (d *Draft) fly(s *stream, i int, p *part) {
	var gen, end int64
	err := d.p.parts.Acquire(s.ctx, 1)
	if err == nil {
		d.mu.RLock()
		var b body
		if end = min(p.end, d.size); end > p.off { // else the file was cut
			gen, b = p.gen, d.body(p.off, end)
		}
		d.mu.RUnlock()
		if gen > 0 {
			d.sumEarly(end)
			err = d.transfer(s.ctx, s.up, i+1, b)
		}
		d.p.parts.Release(1)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	defer d.signal()
	p.flying = false
	s.pending--
	if p.gen != gen || end != min(p.end, d.size) {
		return // changed meanwhile: whatever came of it is of no use
	}
	p.err = err
	if err != nil {
		if d.stream == s && d.early == nil && !d.busy && s.ctx.Err() == nil {
			d.early = fmt.Errorf("part %d: %w", i+1, err)
			d.p.log.Warn("early part failed", "key", s.key, "part", i+1, "err", err)
		}
		return
	}
	p.sentGen, p.sentEnd = gen, end
	d.p.sent.Add(1)
}

// abandon gives the early upload up: it is aborted when its calls have ended.
// The caller holds mu.
func (d *Draft) abandon() {
	s := d.stream
	if s == nil {
		return
	}
	d.stream = nil
	s.cancel()
	d.p.run(func() {
		d.mu.Lock()
		for s.pending > 0 {
			_ = d.wait(context.WithoutCancel(s.ctx)) // they end soon: ctx is cancelled
		}
		d.mu.Unlock()
		if s.begun {
			d.p.abort(s.key, s.up)
		}
	})
}

// rewritable refuses a write into the middle of a part whose bytes are gone. One
// that goes on from the start of the part may become a whole part again.
func (d *Draft) rewritable(off, end int64) error {
	if d.stream == nil {
		return nil
	}
	lost, ok := d.lost(off, end)
	if !ok {
		return nil
	}
	s := d.stream
	i := s.at(lost.off)
	if i == len(s.parts) {
		return nil
	}
	p, slack := s.parts[i], d.p.slack
	if off <= p.off+slack || d.dirty.Overlaps(max(off-slack, p.off), off) {
		return nil
	}
	return goneError(ErrRewriteGone, lost.off, lost.end)
}

// cuttable refuses a new size in the middle of a part whose bytes are gone.
func (d *Draft) cuttable(size int64) error {
	if d.stream == nil {
		return nil
	}
	i := d.stream.at(size)
	if i == len(d.stream.parts) || d.stream.parts[i].off == size {
		return nil
	}
	if lost, ok := d.lost(d.stream.parts[i].off, size); ok {
		return goneError(ErrRewriteGone, lost.off, lost.end)
	}
	return nil
}
