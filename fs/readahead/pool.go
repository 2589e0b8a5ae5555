package readahead

import (
	"container/list"
	"context"
	"io"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/pailfs/pailfs/objstore"
)

const (
	kib = int64(1) << 10
	mib = int64(1) << 20

	defaultWindow   = 96 * mib
	defaultParallel = 8

	// idleAfter is how long a stream is left alone before others may take its
	// memory.
	idleAfter = 250 * time.Millisecond

	// activeWithin is how recent the last read of a stream is that counts when
	// the budget is divided.
	activeWithin = time.Second
)

// Getter is a Store as far as it is read, or a cache over one.
type Getter interface {
	Get(ctx context.Context, key string, r objstore.Range, cond objstore.Cond) (io.ReadCloser, objstore.Object, error)
}

// Options say what a Pool reads from and how much it may hold.
type Options struct {
	Store Getter

	// Memory counts the bytes buffered by all Readers of the mount.
	Memory *semaphore.Weighted
	Limit  int64 // what Memory was made with, in bytes

	// MaxWindow is how many bytes are fetched ahead of one stream at most;
	// 0 is 96 MiB. It is never more than half of Limit.
	MaxWindow int64

	MaxGet   int64 // bytes of one Get ahead; 0 is 8 MiB, and the most
	Parallel int   // Gets in flight for one stream; 0 is 8
	Log      *slog.Logger
}

// Pool makes Readers that share one memory budget. It is safe for concurrent use.
type Pool struct {
	store     Getter
	memory    *semaphore.Weighted
	limit     int64
	maxWindow int64
	maxGet    int64
	parallel  int
	log       *slog.Logger
	segments  *segments
	pace      pace

	idle  time.Duration               // idleAfter, but in tests
	pause func(try int) time.Duration // before a body is opened again

	mu      sync.Mutex
	turns   *list.List // of *turn: streams that may hold memory, the idlest first
	counted time.Time
	share   int64 // bytes of window for each stream that is being read
	readers int
}

// turn is the place of a stream in the order of use, guarded by Pool.mu.
type turn struct {
	s          *stream
	used       time.Time
	sequential bool
}

// NewPool makes a Pool.
func NewPool(opt Options) *Pool {
	p := &Pool{
		store:     opt.Store,
		memory:    opt.Memory,
		limit:     opt.Limit,
		maxWindow: opt.MaxWindow,
		maxGet:    opt.MaxGet,
		parallel:  opt.Parallel,
		log:       opt.Log,
		segments:  newSegments(int(min(opt.Limit/16, 8*mib) / segmentSize)),
		idle:      idleAfter,
		pause:     backoff,
		turns:     list.New(),
	}
	if p.maxWindow <= 0 {
		p.maxWindow = defaultWindow
	}
	p.maxWindow = min(p.maxWindow, p.limit/2)
	if p.maxGet <= 0 || p.maxGet > maxChunk {
		p.maxGet = maxChunk
	}
	p.maxGet = max(p.maxGet, 2*mib) // more than any READ of the kernel
	if p.parallel <= 0 {
		p.parallel = defaultParallel
	}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	p.share = p.maxWindow
	return p
}

// Open makes a Reader of obj, pinned to its version. It makes no request.
func (p *Pool) Open(obj objstore.Object) *Reader {
	p.mu.Lock()
	p.readers++
	p.mu.Unlock()
	return &Reader{p: p, key: obj.Key, version: obj.Version, size: obj.Size}
}

// touch marks s as the latest stream in use, and returns how large its window
// may be while so many streams are read.
func (p *Pool) touch(s *stream) int64 {
	now := time.Now()
	sequential := s.sequential()
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.turn == nil {
		s.turn = p.turns.PushBack(&turn{s: s})
	} else {
		p.turns.MoveToBack(s.turn)
	}
	t := s.turn.Value.(*turn)
	t.used, t.sequential = now, sequential
	if now.Sub(p.counted) > activeWithin/10 {
		p.divide(now)
	}
	return p.share
}

// divide splits three quarters of the budget among the streams being read; the
// rest is for those that come.
func (p *Pool) divide(now time.Time) {
	n := int64(0)
	for e := p.turns.Back(); e != nil; e = e.Prev() {
		t := e.Value.(*turn)
		if now.Sub(t.used) > activeWithin {
			break
		}
		if t.sequential {
			n++
		}
	}
	p.counted = now
	p.share = min(p.maxWindow, max(p.limit*3/4/max(n, 1), minWindow))
}

// forget takes streams out of the order of use.
func (p *Pool) forget(ss ...*stream) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range ss {
		if s.turn != nil {
			p.turns.Remove(s.turn)
			s.turn = nil
		}
	}
}

// closed counts a Reader out. The last one takes the spare segments with it.
func (p *Pool) closed() {
	p.mu.Lock()
	p.readers--
	last := p.readers == 0
	p.mu.Unlock()
	if last {
		p.segments.drain()
	}
}

// reserve takes n bytes from the budget for s, whose Reader is locked. It may
// take them from what s has read already and from idle streams.
func (p *Pool) reserve(s *stream, n int64) bool {
	if n > p.limit {
		return false
	}
	if p.memory.TryAcquire(n) {
		return true
	}
	if s.r.trim(s, 0) > 0 && p.memory.TryAcquire(n) {
		return true
	}
	return p.reclaim(s, n) > 0 && p.memory.TryAcquire(n)
}

// reclaim takes up to n bytes from the idlest streams but s, whose Reader is
// locked, and returns how many it got.
func (p *Pool) reclaim(s *stream, n int64) int64 {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	got := int64(0)
	for e := p.turns.Front(); e != nil && got < n; {
		t := e.Value.(*turn)
		if now.Sub(t.used) < p.idle {
			break
		}
		next := e.Next()
		if r := t.s.r; t.s != s && (r == s.r || r.mu.TryLock()) {
			if t.s.reads == 0 {
				got += r.dropChunks(t.s)
			}
			if t.s.held == 0 {
				p.turns.Remove(e)
				t.s.turn = nil
			}
			if r != s.r {
				r.mu.Unlock()
			}
		}
		e = next
	}
	return got
}
