package readahead

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/pailfs/pailfs/objstore"
)

// maxReopen is how often a body is opened again without a byte of progress.
const maxReopen = 5

// target takes the bytes of a Get. space is where the next ones go, nil to give
// up; fill says how many were put there; rewind makes the next ones the first.
type target interface {
	space() []byte
	fill(n int)
	rewind()
}

// chunkTarget fills a chunk. One that is a whole object is filled at once, when
// all has come and has the checksum that the store told.
type chunkTarget struct {
	r      *Reader
	c      *chunk
	shared context.Context // for the Gets that follow
	seg    *segment        // pinned
	got    int64           // bytes
}

func (t *chunkTarget) space() []byte {
	c := t.c
	i := int(t.got / segmentSize)
	at := t.got % segmentSize
	if t.seg == nil && !t.pin(i) {
		return nil
	}
	return t.seg.buf[at:min(segmentSize, c.size-int64(i)*segmentSize)]
}

// pin gets hold of segment i, which is made when it is first needed. It reports
// false when the chunk is gone.
func (t *chunkTarget) pin(i int) bool {
	c := t.c
	t.r.mu.Lock()
	if seg := c.segments[i]; seg != nil && !c.dropped {
		seg.pins++
		t.seg = seg
	}
	t.r.mu.Unlock()
	if t.seg != nil {
		return true
	}
	seg := &segment{cost: c.cost(i), pins: 1}
	seg.buf = t.r.p.segments.get(seg.cost)
	t.r.mu.Lock()
	defer t.r.mu.Unlock()
	if c.dropped {
		t.r.p.segments.put(seg.buf)
		return false
	}
	c.segments[i], t.seg = seg, seg
	return true
}

func (t *chunkTarget) rewind() {
	t.r.mu.Lock()
	defer t.r.mu.Unlock()
	t.unpin()
	t.got = 0
}

func (t *chunkTarget) fill(n int) {
	c := t.c
	t.r.mu.Lock()
	defer t.r.mu.Unlock()
	if c.answered.IsZero() {
		c.answered = time.Now()
	}
	early := !c.nearlyDone()
	if t.got += int64(n); t.got%segmentSize == 0 || t.got == c.size {
		t.unpin()
	}
	if t.got == c.size || !t.r.whole(c.off, c.off+c.size) {
		c.filled = c.off + t.got
	}
	if c.dropped {
		return
	}
	c.wake(false)
	if early && c.nearlyDone() {
		t.r.ahead(t.shared, c.s)
	}
}

// unpin lets go of the segment that is being filled. r.mu is held.
func (t *chunkTarget) unpin() {
	if t.seg != nil {
		t.r.unpin(t.seg)
		t.seg = nil
	}
}

// fetch is the goroutine of a chunk.
func (r *Reader) fetch(ctx, shared context.Context, c *chunk) {
	defer r.running.Done()
	defer c.cancel()
	t := &chunkTarget{r: r, c: c, shared: shared}
	err := r.transfer(ctx, c.off, c.off+c.size, t)

	r.mu.Lock()
	defer r.mu.Unlock()
	t.unpin()
	c.running = false
	if c.dropped {
		return
	}
	if err != nil {
		c.err = err
		c.s.failed = true
		if c.reads == 0 {
			r.p.log.Debug("read ahead failed", "key", r.key, "off", c.filled, "err", err)
		}
		if errors.Is(err, objstore.ErrChecksum) {
			c.filled = c.off // whichever of the bytes it is that are wrong
		}
		r.truncate(c)
		c.wake(true)
		return
	}
	r.ahead(shared, c.s)
}

// whole reports whether [off, end) is the object: S3 tells a checksum only of what
// is asked for as a whole.
func (r *Reader) whole(off, end int64) bool { return off == 0 && end == r.size }

// transfer gets [off, end) into t. A body that breaks is opened again at the
// next byte, or at the first where the checksum of all of it is to be had.
func (r *Reader) transfer(ctx context.Context, off, end int64, t target) error {
	opened, try, stalls, whole := false, 0, 0, r.whole(off, end)
	for {
		n, body, err := r.get(ctx, off, end, t, stalls < maxStalls)
		if err == nil {
			return nil
		}
		if whole {
			t.rewind()
			n = 0
		}
		off += n
		if n > 0 {
			try, stalls = 0, 0
		}
		if errors.Is(err, errStalled) {
			stalls++
			r.p.log.Debug("body stalled, opened again", "key", r.key, "off", off)
			continue
		}
		opened = opened || body
		// The store has tried enough to open the first body.
		if ctx.Err() != nil || !opened || final(err) || try >= maxReopen {
			return err
		}
		if n > 0 && errors.Is(err, objstore.ErrChecksum) {
			return err // some of what is wrong was handed out
		}
		r.p.log.Debug("body broke, opened again", "key", r.key, "off", off, "try", try, "err", err)
		if err := sleep(ctx, r.p.pause(try)); err != nil {
			return err
		}
		try++
	}
}

// get does one Get of [off, end). It returns how many bytes t took, and whether
// there was a body. With giveUp a body that stalls is errStalled.
func (r *Reader) get(ctx context.Context, off, end int64, t target, giveUp bool) (n int64, opened bool, err error) {
	cond := objstore.Cond{Version: r.version}
	rg := objstore.Range{Off: off, Len: end - off}
	if r.whole(off, end) {
		rg = objstore.All
	}
	begun, patience := time.Now(), r.p.pace.patience()
	a := r.open(ctx, rg, cond, patience)
	defer a.close()
	if a.err != nil {
		return 0, false, a.err
	}
	body, obj := a.body, a.obj
	w := r.p.pace.watch(a, begun, patience, giveUp)
	defer func() {
		if silence := w.stop(); ctx.Err() == nil {
			r.p.pace.note(silence)
		}
		if err != nil && context.Cause(a.ctx) == errStalled {
			err = errStalled
		}
	}()
	if r.version != "" && obj.Version != "" && obj.Version != r.version {
		// A store that takes conditions and ignores them.
		return 0, true, objstore.NewError("get", r.key, objstore.ErrCond, fmt.Errorf("version %q, want %q", obj.Version, r.version))
	}
	for empty := 0; off+n < end; {
		p := t.space()
		if p == nil {
			return n, true, context.Canceled
		}
		p = p[:min(int64(len(p)), end-off-n)]
		m, err := body.Read(p)
		w.heard()
		if m > 0 && off+n+int64(m) == end {
			// What the store finds out at the end of the body, it must say
			// before the last bytes are handed out.
			if err == nil {
				err = drained(body)
			}
			if err != nil && err != io.EOF {
				return n, true, err
			}
		}
		if m > 0 {
			t.fill(m)
			n += int64(m)
			empty = 0
		} else if empty++; empty == 100 && err == nil {
			err = io.ErrNoProgress
		}
		switch {
		case off+n == end:
			return n, true, nil
		case err == io.EOF:
			return n, true, io.ErrUnexpectedEOF
		case err != nil:
			return n, true, err
		}
	}
	return n, true, nil
}

// drained reads the end of a body, which also lets its connection be used again.
func drained(body io.Reader) error {
	var b [1]byte
	switch n, err := io.ReadFull(body, b[:]); {
	case n > 0:
		return errors.New("body is longer than the range")
	default:
		return err
	}
}

// final reports an error that another Get would give again.
func final(err error) bool {
	for _, kind := range []error{
		objstore.ErrCond, objstore.ErrNotFound, objstore.ErrPermission, objstore.ErrRange,
		objstore.ErrUnsupported, objstore.ErrArchived, objstore.ErrQuota,
	} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// backoff is the pause before a body is opened again: 50 ms doubling, jittered.
func backoff(try int) time.Duration {
	d := 50 * time.Millisecond << try
	return d/2 + rand.N(d/2+1)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
