package readahead

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pailfs/pailfs/objstore"
)

// staller stalls the Gets of a probe: in their answers, or in their bodies.
type staller struct {
	answer func(n int) bool  // the nth Get is not answered
	body   func(n int) int64 // bytes that come of its body; below 0 for all
	own    time.Duration     // after which the store gives up a body by itself; 0 is never

	mu     sync.Mutex
	ctxs   map[int]context.Context
	ended  int // Gets that were given up
	failed error
}

func (s *staller) install(p *probe) {
	s.ctxs = map[int]context.Context{}
	p.before = func(ctx context.Context, n int, _ objstore.Range) error {
		s.mu.Lock()
		s.ctxs[n] = ctx
		s.mu.Unlock()
		if s.answer != nil && s.answer(n) {
			return s.wait(n)
		}
		return nil
	}
	p.body = func(n int, _ objstore.Range, body io.ReadCloser) io.ReadCloser {
		after := int64(-1)
		if s.body != nil {
			after = s.body(n)
		}
		if after < 0 {
			return body
		}
		return &stalled{body, s, n, after}
	}
}

func (s *staller) wait(n int) error {
	s.mu.Lock()
	ctx := s.ctxs[n]
	s.mu.Unlock()
	var own <-chan time.Time
	if s.own > 0 {
		own = time.After(s.own)
	}
	select {
	case <-ctx.Done():
		s.mu.Lock()
		s.ended++
		s.mu.Unlock()
		return ctx.Err()
	case <-own:
		return s.failed
	}
}

type stalled struct {
	io.ReadCloser
	s     *staller
	n     int
	after int64
}

func (b *stalled) Read(p []byte) (int, error) {
	if b.after == 0 {
		return 0, b.s.wait(b.n)
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.after)])
	b.after -= int64(n)
	return n, err
}

func TestGetWithoutAnAnswerIsAskedAgain(t *testing.T) {
	bubble(t, 64*mib, Options{Limit: 64 * mib}, func(t *testing.T, g *rig, r *Reader) {
		s := &staller{answer: func(n int) bool { return n == 1 }}
		s.install(g.store)
		begun := time.Now()
		g.read(r, 0, readSize)
		if took := time.Since(begun); took != unknownPatience {
			t.Errorf("took %s", took)
		}
		synctest.Wait()
		if gets := g.store.gets(); len(gets) < 2 || gets[0] != gets[1] || s.ended != 1 {
			t.Errorf("%v, %d given up", gets, s.ended)
		}
	})
}

func TestStalledBodyIsOpenedAgain(t *testing.T) {
	bubble(t, 64*mib, Options{Limit: 64 * mib}, func(t *testing.T, g *rig, r *Reader) {
		s := &staller{body: func(n int) int64 {
			if n == 3 {
				return 100_000
			}
			return -1
		}}
		s.install(g.store)
		begun := time.Now()
		for off := int64(0); off < 32*mib; off += readSize {
			g.read(r, off, readSize)
		}
		if took := time.Since(begun); took > unknownPatience {
			t.Errorf("took %s", took)
		}
		again := 0
		for _, rg := range g.store.gets() {
			if (rg.Off-100_000)%segmentSize == 0 {
				again++
			}
		}
		if again != 1 || s.ended != 1 {
			t.Errorf("%d opened at the byte that was missing, %d given up: %v", again, s.ended, g.store.gets())
		}
	})
}

// A store that is slow is not one that stalls.
func TestSlowStoreIsNotAskedTwice(t *testing.T) {
	bubble(t, 64*mib, Options{Limit: 64 * mib}, func(t *testing.T, g *rig, r *Reader) {
		g.store.before = func(ctx context.Context, _ int, _ objstore.Range) error { return sleep(ctx, 6*time.Second) }
		for off := int64(0); off < g.obj.Size; off += mib {
			g.read(r, off, mib)
		}
		seen := map[int64]int{}
		twice := 0
		for _, rg := range g.store.gets() {
			if seen[rg.Off]++; seen[rg.Off] > 1 {
				twice++
			}
		}
		if most := fewAgain + len(seen)/oneIn; twice == 0 || twice > most {
			t.Errorf("%d of %d Gets twice, want at most %d", twice, len(seen), most)
		}
		if p := g.pool.pace.patience(); p != 4*6*time.Second {
			t.Errorf("waits for %s now", p)
		}
	})
}

// The second Get buys time, it does not add to what the store takes to fail.
func TestErrorOfTheFirstGetCounts(t *testing.T) {
	bubble(t, 64*mib, Options{Limit: 64 * mib}, func(t *testing.T, g *rig, r *Reader) {
		want := &objstore.Error{Op: "get", Key: "k", Kind: objstore.ErrPermission}
		g.store.before = func(ctx context.Context, n int, _ objstore.Range) error {
			if n == 1 {
				time.Sleep(7 * time.Second)
				return want
			}
			<-ctx.Done()
			return ctx.Err()
		}
		begun := time.Now()
		_, err := r.ReadAt(t.Context(), make([]byte, readSize), 40*mib)
		if took := time.Since(begun); err != want || took != 7*time.Second {
			t.Errorf("got %v after %s", err, took)
		}
		if n := len(g.store.gets()); n != 2 {
			t.Errorf("%d Gets", n)
		}
	})
}

func TestBodyThatAlwaysStallsIsLeftToTheStore(t *testing.T) {
	bubble(t, 64*mib, Options{Limit: 64 * mib}, func(t *testing.T, g *rig, r *Reader) {
		s := &staller{
			body: func(int) int64 { return 0 }, own: time.Minute,
			failed: &objstore.Error{Op: "get", Key: "k", Kind: objstore.ErrTransient},
		}
		s.install(g.store)
		begun := time.Now()
		_, err := r.ReadAt(t.Context(), make([]byte, readSize), 40*mib)
		if !errors.Is(err, objstore.ErrTransient) || errors.Is(err, errStalled) || s.ended != maxStalls {
			t.Errorf("got %v after %s, %d given up", err, time.Since(begun), s.ended)
		}
	})
}
