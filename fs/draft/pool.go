package draft

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/pailfs/pailfs/fs/staging"
	"github.com/pailfs/pailfs/objstore"
)

// MetaID is the metadata name under which every object written here carries a
// random id of the write, so that an unknown outcome can be settled.
const MetaID = "pailfs-id"

// settleTime bounds the calls that find out or clean up after a failure.
const settleTime = time.Minute

// Options are what all drafts of a mount share.
type Options struct {
	Store    objstore.Store
	Memory   int64  // bytes staged by all drafts together (default 256 MiB, at least 64 KiB)
	Parallel int    // parts in flight of all drafts (default 16)
	Private  string // prefix of private keys of this mount, ending in "/"
	PartSize int64  // size of the first parts (default 8 MiB, at least Caps.MinPart)

	// Dir, if set, is a local directory that takes staged bytes, up to DirLimit,
	// before they go to private objects. With KeepSent it also takes parts that
	// were sent, so that they can still be read and changed in the middle.
	Dir      string
	DirLimit int64
	KeepSent bool

	// SHA256 has objects in parts carry objstore.MetaSHA256 too, as far as their bytes are
	// written in order, or are all in memory at the commit.
	SHA256 bool

	// Base, if set, is where objects are read that are not private to the pool: the
	// store through a cache.
	Base interface {
		Get(ctx context.Context, key string, r objstore.Range, cond objstore.Cond) (io.ReadCloser, objstore.Object, error)
	}

	Log *slog.Logger
}

// Pool is what all drafts of a mount share: the budgets and the store.
type Pool struct {
	opt    Options
	store  objstore.Store
	caps   objstore.Caps
	ladder ladder
	log    *slog.Logger

	budget   budget              // bytes staged in memory
	disk     budget              // bytes staged in Dir
	parts    *semaphore.Weighted // parts in flight
	assembly *semaphore.Weighted // bytes of parts put together on the heap
	whole    int64               // an object of up to this many bytes is one Put
	chunk    int64               // bytes written under one grant of the budget
	slack    int64               // how far out of order the kernel writes

	// maxPieces is how scattered a file may get before its content is written to
	// one private object: the list of pieces takes memory too.
	maxPieces int

	ctx    context.Context // of work in the background
	cancel context.CancelFunc

	clock   atomic.Int64 // orders the use of drafts
	sent    atomic.Int64 // parts sent
	spilled atomic.Int64 // bytes that went to private objects

	mu         sync.Mutex
	drafts     map[*Draft]struct{}
	reclaiming bool
	hungry     bool          // the reclaimer found nothing, and waits for a write
	flights    []func()      // parts to be sent, in order
	flying     int           // goroutines that send them
	background int           // goroutines at work
	idle       chan struct{} // closed when background is 0
	event      chan struct{} // closed when memory may have become reclaimable
}

// NewPool returns a pool without drafts.
func NewPool(opt Options) *Pool {
	if opt.Memory <= 0 {
		opt.Memory = 256 << 20
	}
	opt.Memory = max(opt.Memory, 64<<10)
	if opt.Parallel <= 0 {
		opt.Parallel = 16
	}
	if opt.Base == nil {
		opt.Base = opt.Store
	}
	if opt.PartSize <= 0 {
		opt.PartSize = 8 << 20
	}
	if opt.Private == "" {
		opt.Private = ".pailfs/tmp/" + newID() + "/"
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	caps := opt.Store.Caps()
	p := &Pool{
		opt: opt, store: opt.Store, caps: caps, log: opt.Log,
		ladder:    newLadder(caps, opt.PartSize, opt.Memory/4),
		parts:     semaphore.NewWeighted(int64(opt.Parallel)),
		chunk:     max(min(1<<20, opt.Memory/8)&^(staging.Page-1), staging.Page),
		maxPieces: 20_000,
		drafts:    map[*Draft]struct{}{},
		event:     make(chan struct{}),
	}
	p.budget.max, p.disk.max = opt.Memory, opt.DirLimit
	p.whole = min(p.ladder.first, caps.MaxPut)
	p.slack = min(p.ladder.first/2, 4<<20)
	p.assembly = semaphore.NewWeighted(4 * p.ladder.first)
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// MaxSize is the size of the largest file that can be written.
func (p *Pool) MaxSize() int64 { return p.ladder.goal }

// New returns the draft of an empty file that was never committed.
func (p *Pool) New() *Draft {
	return p.draft(func(d *Draft) { d.changed = true })
}

// Edit returns a draft with the content of obj. No request is made.
func (p *Pool) Edit(obj objstore.Object) *Draft {
	return p.draft(func(d *Draft) {
		d.base = &source{obj: obj}
		d.size = obj.Size
		d.pieces.set(piece{0, obj.Size, d.base, 0})
	})
}

// draft returns a draft that the pool knows once fill is done with it.
func (p *Pool) draft(fill func(*Draft)) *Draft {
	d := &Draft{p: p, op: semaphore.NewWeighted(writers), event: make(chan struct{})}
	d.disk.Dir = p.opt.Dir
	d.diskSrc = &source{disk: true, fresh: true}
	d.ctx, d.cancel = context.WithCancel(p.ctx)
	d.used.Store(p.clock.Add(1))
	fill(d)
	p.mu.Lock()
	p.drafts[d] = struct{}{}
	p.mu.Unlock()
	return d
}

// Stats says what the pool holds.
type Stats struct {
	Memory, Used, Peak int64 // bytes of the budget, staged now, staged at most
	DiskUsed           int64 // bytes staged in Dir
	Waiting            int   // writes that wait for memory
	Drafts, Streams    int   // drafts, and those with an early upload
	Sent               int64 // parts sent so far
	Spilled            int64 // bytes moved to private objects so far
}

// Stats returns the numbers of this moment.
func (p *Pool) Stats() Stats {
	s := Stats{Memory: p.budget.max, Sent: p.sent.Load(), Spilled: p.spilled.Load()}
	p.budget.mu.Lock()
	s.Used, s.Peak, s.Waiting = p.budget.used, p.budget.peak, len(p.budget.waiters)
	p.budget.mu.Unlock()
	p.disk.mu.Lock()
	s.DiskUsed = p.disk.used
	p.disk.mu.Unlock()
	for _, d := range p.list() {
		s.Drafts++
		if d.Streaming() {
			s.Streams++
		}
	}
	return s
}

func (p *Pool) list() []*Draft {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]*Draft, 0, len(p.drafts))
	for d := range p.drafts {
		all = append(all, d)
	}
	return all
}

// Wait waits for the work in the background: sends under way, aborts, deletes.
func (p *Pool) Wait(ctx context.Context) error {
	for {
		p.mu.Lock()
		if p.background == 0 {
			p.mu.Unlock()
			return nil
		}
		if p.idle == nil {
			p.idle = make(chan struct{})
		}
		idle := p.idle
		p.mu.Unlock()
		select {
		case <-idle:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Close discards all drafts and waits for the work in the background, until ctx
// ends. The pool is not to be used again.
func (p *Pool) Close(ctx context.Context) error {
	for _, d := range p.list() {
		d.Discard()
	}
	err := p.Wait(ctx)
	p.cancel()
	return err
}

// run does f in a goroutine that Wait waits for.
func (p *Pool) run(f func()) {
	p.mu.Lock()
	p.background++
	p.mu.Unlock()
	go func() {
		defer func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.background--
			if p.background == 0 && p.idle != nil {
				close(p.idle)
				p.idle = nil
			}
		}()
		f()
	}()
}

// fly does f, which sends a part, when it is its turn.
func (p *Pool) fly(f func()) {
	p.mu.Lock()
	p.flights = append(p.flights, f)
	start := p.flying < p.opt.Parallel
	if start {
		p.flying++
	}
	p.mu.Unlock()
	if start {
		p.run(p.sendFlights)
	}
}

func (p *Pool) sendFlights() {
	for {
		p.mu.Lock()
		if len(p.flights) == 0 {
			p.flights = nil
			p.flying--
			p.mu.Unlock()
			return
		}
		f := p.flights[0]
		p.flights = p.flights[1:]
		p.mu.Unlock()
		f()
	}
}

// cleanup is a context for calls that must be made also when all is over.
func (p *Pool) cleanup(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), settleTime)
}

// remove deletes a private object in the background.
func (p *Pool) remove(key string) {
	p.run(func() {
		ctx, cancel := p.cleanup(p.ctx)
		defer cancel()
		if err := p.store.Delete(ctx, key, objstore.Cond{}); err != nil {
			p.log.Warn("private object left behind", "key", key, "err", err)
		}
	})
}

// abort ends an upload in the background.
func (p *Pool) abort(key string, up objstore.Upload) {
	p.run(func() {
		ctx, cancel := p.cleanup(p.ctx)
		defer cancel()
		if err := up.Abort(ctx); err != nil {
			p.log.Warn("unfinished upload left behind", "key", key, "err", err)
		}
	})
}

func (p *Pool) privateKey() string { return p.opt.Private + newID() }

// newID is 16 random hex digits.
func newID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
