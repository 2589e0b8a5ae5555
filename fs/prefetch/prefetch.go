// Package prefetch gets small objects whole before they are asked for.
package prefetch

import (
	"bytes"
	"context"
	"io"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/pailfs/pailfs/objstore"
)

const (
	// MaxSize is the size of the largest object that is prefetched, in bytes.
	MaxSize = 256 << 10

	// parallel is how many Gets are in flight.
	parallel = 64

	// keep is how long an object waits to be asked for.
	keep = 10 * time.Second
)

// Getter is a Store as far as it is read.
type Getter interface {
	Get(ctx context.Context, key string, r objstore.Range, cond objstore.Cond) (io.ReadCloser, objstore.Object, error)
}

// Pool is a Getter that has some objects at hand. It is safe for concurrent use.
type Pool struct {
	from   Getter
	memory *semaphore.Weighted // counts the bytes held
	ctx    context.Context     // of the Gets, which nobody waits for
	cancel context.CancelFunc
	gets   sync.WaitGroup

	mu     sync.Mutex
	closed bool
	flying int
	held   map[id]*object
}

type id struct {
	key     string
	version objstore.Version
}

// object is one that was or is being fetched.
type object struct {
	obj    objstore.Object
	b      []byte
	err    error
	done   chan struct{} // closed when b and err are what they will be
	expire *time.Timer
}

// New makes a Pool over a Getter. What it holds is taken from memory, as far as
// there is some left.
func New(from Getter, memory *semaphore.Weighted) *Pool {
	p := &Pool{from: from, memory: memory, held: map[id]*object{}}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// Fetch begins to get an object, unless that was begun already. It reports false
// where there is no room for another.
func (p *Pool) Fetch(obj objstore.Object) bool {
	if obj.Size <= 0 || obj.Size > MaxSize || obj.Version == "" {
		return true // nothing to be gained
	}
	id := id{obj.Key, obj.Version}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held[id] != nil {
		return true
	}
	if p.closed || p.flying == parallel || !p.memory.TryAcquire(obj.Size) {
		return false
	}
	o := &object{obj: obj, done: make(chan struct{})}
	o.expire = time.AfterFunc(keep, func() { p.drop(id, o) })
	p.held[id] = o
	p.flying++
	p.gets.Go(func() {
		o.b, o.err = p.get(obj)
		p.mu.Lock()
		p.flying--
		p.mu.Unlock()
		close(o.done)
		if o.err != nil {
			p.drop(id, o) // whoever wants it asks, and is told
		}
	})
	return true
}

func (p *Pool) get(obj objstore.Object) ([]byte, error) {
	body, got, err := p.from.Get(p.ctx, obj.Key, objstore.All, objstore.Cond{Version: obj.Version})
	if err != nil {
		return nil, err
	}
	defer body.Close()
	if got.Version != obj.Version {
		return nil, objstore.NewError("get", obj.Key, objstore.ErrCond, nil)
	}
	b := make([]byte, obj.Size)
	if _, err := io.ReadFull(body, b); err != nil {
		return nil, err
	}
	// What the store finds out at the end of the body counts.
	if n, err := body.Read(make([]byte, 1)); n > 0 || err != nil && err != io.EOF {
		return nil, objstore.NewError("get", obj.Key, objstore.ErrOther, err)
	}
	return b, nil
}

// drop gives back what o takes.
func (p *Pool) drop(id id, o *object) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held[id] == o {
		delete(p.held, id)
		o.expire.Stop()
		p.memory.Release(o.obj.Size)
	}
}

// Get is that of the Getter below, or reads what was fetched before; then the
// Object has only Key, Version and Size.
func (p *Pool) Get(ctx context.Context, key string, r objstore.Range, cond objstore.Cond) (io.ReadCloser, objstore.Object, error) {
	id := id{key, cond.Version}
	p.mu.Lock()
	o := p.held[id]
	p.mu.Unlock()
	if o == nil || r.Off < 0 || r.Off >= o.obj.Size {
		return p.from.Get(ctx, key, r, cond)
	}
	select {
	case <-o.done:
	case <-ctx.Done():
		return nil, objstore.Object{}, ctx.Err()
	}
	if o.err != nil {
		return p.from.Get(ctx, key, r, cond)
	}
	b := o.b[r.Off:]
	if r.Len >= 0 {
		b = b[:min(r.Len, int64(len(b)))]
	}
	return &body{Reader: bytes.NewReader(b), close: func() { p.drop(id, o) }},
		objstore.Object{Key: key, Version: cond.Version, Size: o.obj.Size}, nil
}

// body is the one reading of an object that was fetched: who wants it again
// finds it in the caches.
type body struct {
	*bytes.Reader
	close func()
}

func (b *body) Close() error {
	b.close()
	return nil
}

// Close ends what is under way and gives all memory back.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.cancel()
	p.gets.Wait()
	p.mu.Lock()
	held := p.held
	p.held = map[id]*object{}
	p.mu.Unlock()
	for _, o := range held {
		o.expire.Stop()
		p.memory.Release(o.obj.Size)
	}
}
