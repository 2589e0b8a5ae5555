package readahead

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pailfs/pailfs/objstore"
)

func TestReadersGoOnWithoutMemory(t *testing.T) {
	for _, limit := range []int64{4 * kib, 200 * kib, mib, 3 * mib} {
		body := content(8 * mib)
		synctest.Test(t, func(t *testing.T) {
			g := newRig(t, body, Options{Limit: limit})
			var wg sync.WaitGroup
			for i := range int64(8) {
				wg.Go(func() {
					r := g.pool.Open(g.obj)
					defer r.Close()
					for off := i * 512 * kib; off < g.obj.Size; off += readSize {
						g.read(r, off, readSize)
					}
				})
			}
			wg.Wait()
			g.free()
		})
	}
}

func TestBudgetTakenByOthers(t *testing.T) {
	bubble(t, 4*mib, Options{Limit: 16 * mib}, func(t *testing.T, g *rig, r *Reader) {
		if !g.pool.memory.TryAcquire(16 * mib) {
			t.Fatal("the budget is not free")
		}
		for off := int64(0); off < g.obj.Size; off += readSize {
			g.read(r, off, readSize)
		}
		if got := g.store.bytes(); got != g.obj.Size {
			t.Errorf("%d bytes fetched of %d", got, g.obj.Size)
		}
		g.pool.memory.Release(16 * mib)
	})
}

func TestIdleReaderGivesItsMemoryBack(t *testing.T) {
	bubble(t, 64*mib, Options{Limit: 16 * mib}, func(t *testing.T, g *rig, idle *Reader) {
		for off := int64(0); off < 4*mib; off += readSize {
			g.read(idle, off, readSize)
		}
		synctest.Wait()
		time.Sleep(2 * activeWithin)
		busy := g.pool.Open(g.obj)
		for off := int64(32 * mib); off < 48*mib; off += readSize {
			g.read(busy, off, readSize)
		}
		idle.mu.Lock()
		if len(idle.chunks) != 0 {
			t.Errorf("the idle reader holds %d chunks", len(idle.chunks))
		}
		idle.mu.Unlock()
		g.read(idle, 4*mib, readSize)
		busy.Close()
	})
}

func TestStreamsShareTheBudget(t *testing.T) {
	const limit = 32 * mib
	bubble(t, 64*mib, Options{Limit: limit}, func(t *testing.T, g *rig, first *Reader) {
		rs := []*Reader{first}
		for range 3 {
			r := g.pool.Open(g.obj)
			defer r.Close()
			rs = append(rs, r)
		}
		for off := int64(0); off < 32*mib; off += readSize {
			for _, r := range rs {
				g.read(r, off, readSize)
			}
			time.Sleep(10 * time.Millisecond)
		}
		for i, r := range rs {
			r.mu.Lock()
			if held := r.streams[0].held; held < 2*mib || held > limit/2 {
				t.Errorf("reader %d holds %d bytes of %d", i, held, limit)
			}
			r.mu.Unlock()
		}
		for _, r := range rs {
			r.Close()
		}
	})
}

// The memory that is really held is what the budget says.
func TestHeldIsCounted(t *testing.T) {
	bubble(t, 64*mib, Options{Limit: 64 * mib, MaxWindow: 8 * mib}, func(t *testing.T, g *rig, r *Reader) {
		g.store.before = func(context.Context, int, objstore.Range) error { return nil }
		for off := int64(0); off < 48*mib; off += readSize {
			g.read(r, off, readSize)
		}
		synctest.Wait()
		r.mu.Lock()
		defer r.mu.Unlock()
		var cost int64
		for _, c := range r.chunks {
			for _, seg := range c.segments {
				if seg != nil {
					cost += seg.cost
				}
			}
		}
		if held := r.streams[0].held; cost != held || held > 8*mib+keep+segmentSize {
			t.Errorf("segments of %d bytes, %d counted", cost, held)
		}
	})
}

// Where the store tells checksums of short ranges alone, no longer ones are asked for.
func TestGetsAreAsShortAsTheStoreChecks(t *testing.T) {
	for _, parallel := range []int{2, 16} {
		bubble(t, 128*mib, Options{Limit: 512 * mib, MaxWindow: 256 * mib, MaxGet: 4 * mib, Parallel: parallel}, func(t *testing.T, g *rig, r *Reader) {
			for off := int64(0); off < g.obj.Size; off += mib {
				g.read(r, off, mib)
			}
			for off := int64(1); off < 64*mib; off += 9 * mib { // strides
				g.read(r, off, 6*mib)
			}
			synctest.Wait()
			for _, rg := range g.store.gets() {
				if rg.Len > 4*mib {
					t.Errorf("a Get of %d bytes", rg.Len)
				}
			}
		})
	}
}
