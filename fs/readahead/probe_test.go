package readahead

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"

	"golang.org/x/sync/semaphore"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/memstore"
)

// probe writes down the Gets of a store, and may change what they give.
type probe struct {
	objstore.Store
	before func(ctx context.Context, n int, rg objstore.Range) error
	body   func(n int, rg objstore.Range, body io.ReadCloser) io.ReadCloser

	mu     sync.Mutex
	ranges []objstore.Range
}

func (p *probe) Get(ctx context.Context, key string, rg objstore.Range, cond objstore.Cond) (io.ReadCloser, objstore.Object, error) {
	asked := rg
	if rg.Len < 0 { // as a whole
		o, err := p.Store.Stat(ctx, key)
		if err != nil {
			return nil, o, err
		}
		rg.Len = o.Size - rg.Off
	}
	p.mu.Lock()
	p.ranges = append(p.ranges, rg)
	n := len(p.ranges)
	p.mu.Unlock()
	if p.before != nil {
		if err := p.before(ctx, n, rg); err != nil {
			return nil, objstore.Object{}, err
		}
	}
	body, obj, err := p.Store.Get(ctx, key, asked, cond)
	if err == nil && p.body != nil {
		body = p.body(n, rg, body)
	}
	return body, obj, err
}

func (p *probe) gets() []objstore.Range {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]objstore.Range(nil), p.ranges...)
}

func (p *probe) bytes() (n int64) {
	for _, r := range p.gets() {
		n += r.Len
	}
	return n
}

// failer is what a test, a benchmark and a rapid check have in common.
type failer interface {
	Helper()
	Fatal(...any)
	Error(...any)
	Errorf(string, ...any)
}

// rig is a Pool over one object of random bytes.
type rig struct {
	t       failer
	store   *probe
	pool    *Pool
	limit   int64
	obj     objstore.Object
	content []byte
}

// content is size random bytes, always the same.
func content(size int64) []byte { return random()[:size:size] }

var random = sync.OnceValue(func() []byte {
	b := make([]byte, 128*mib)
	rand.NewChaCha8([32]byte{7}).Read(b)
	return b
})

func newRig(t failer, body []byte, opt Options) *rig {
	store := &probe{Store: memstore.New(memstore.Options{})}
	g := &rig{t: t, store: store, content: body, limit: opt.Limit}
	g.obj = g.put(body)
	opt.Store, opt.Memory = store, semaphore.NewWeighted(opt.Limit)
	g.pool = NewPool(opt)
	return g
}

func (g *rig) put(b []byte) objstore.Object {
	g.t.Helper()
	obj, err := g.store.Put(context.Background(), "k", io.NewSectionReader(bytes.NewReader(b), 0, int64(len(b))), objstore.PutOptions{})
	if err != nil {
		g.t.Fatal(err)
	}
	return obj
}

// read reads n bytes at off and compares them.
func (g *rig) read(r *Reader, off, n int64) {
	g.t.Helper()
	b := make([]byte, n)
	m, err := r.ReadAt(context.Background(), b, off)
	want := g.content[min(off, g.obj.Size):min(off+n, g.obj.Size)]
	if err != nil && (err != io.EOF || int64(m) == n) {
		g.t.Errorf("read %d at %d: %v", n, off, err)
	}
	if err == nil && int64(m) < n {
		g.t.Errorf("read %d at %d: short (%d) without an error", n, off, m)
	}
	if !bytes.Equal(b[:m], want) {
		g.t.Errorf("read %d at %d: got %d bytes, and they differ", n, off, m)
	}
}

// free fails if anything is held of the budget, and takes nothing.
func (g *rig) free() {
	g.t.Helper()
	if !g.pool.memory.TryAcquire(g.limit) {
		g.t.Error("memory is held after the last Close")
		return
	}
	g.pool.memory.Release(g.limit)
	if n := g.pool.turns.Len(); n != 0 {
		g.t.Errorf("%d streams are known after the last Close", n)
	}
}

// once fails if the Gets so far have a byte in common.
func (g *rig) once() {
	g.t.Helper()
	seen := make(map[int64]bool)
	for _, r := range g.store.gets() {
		for off := r.Off; off < r.Off+r.Len; off += 4 * kib {
			if seen[off] {
				g.t.Errorf("the bytes at %d were fetched twice: %v", off, g.store.gets())
				return
			}
			seen[off] = true
		}
	}
}

// bubble runs f where time is virtual and a goroutine left over is a failure.
func bubble(t *testing.T, size int64, opt Options, f func(t *testing.T, g *rig, r *Reader)) {
	t.Helper()
	body := content(size)
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, body, opt)
		r := g.pool.Open(g.obj)
		f(t, g, r)
		r.Close()
		r.Close()
		g.free()
	})
}
