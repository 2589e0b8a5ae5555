package draft

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/memstore"
)

// Writers, readers and commits of one file at once, while other files take the
// memory: every object is a whole state of the file, and no read is wrong.
func TestEverythingAtOnce(t *testing.T) {
	for _, c := range []struct {
		edit, keep bool
		rounds     int
	}{{rounds: 1}, {rounds: 3, keep: true}, {rounds: 3, edit: true}} {
		opt := Options{Memory: 64 * kib, PartSize: 8 * kib}
		if c.keep {
			opt.Dir, opt.DirLimit, opt.KeepSent = t.TempDir(), 1<<30, true
		}
		edit := c.edit
		r := newRig(t, memstore.Options{Caps: func(c *objstore.Caps) { c.MinPart = 4 * kib }}, opt)
		r.pool.maxPieces = 30
		const blocks, size = 200, 2 * kib
		d := r.pool.New()
		if edit {
			d = r.pool.Edit(r.put("k", make([]byte, blocks*size)))
		}
		var cond atomic.Value
		now := func() Target {
			c, _ := cond.Load().(objstore.Cond)
			return Target{Key: "k", Cond: c}
		}
		d.Start(now)
		// Block i holds its number and a count that only its writer raises.
		block := func(i, n int) []byte {
			return bytes.Repeat([]byte(strconv.Itoa(1000000+i*1000+n)+"\n"), size/8)
		}
		var wrote [blocks]atomic.Int64
		stop := make(chan struct{})
		var writers, others sync.WaitGroup
		for w := range 4 {
			writers.Go(func() {
				rng := rand.New(rand.NewPCG(uint64(w), 1))
				for n := range c.rounds {
					for i := w; i < blocks; i += 4 {
						k := i
						if n > 0 && edit {
							k = rng.IntN(blocks/4)*4 + w
						}
						b := block(k, n)
						err := d.WriteAt(r.ctx, b, int64(k*size))
						if err != nil {
							t.Error(err)
							return
						}
						wrote[k].Store(int64(n + 1))
					}
				}
			})
		}
		check := func(what string, b []byte, i, least int) {
			var got int
			for n := range 3 {
				if bytes.Equal(b, block(i, n)) {
					got = n + 1
				}
			}
			if got < least || got == 0 && len(bytes.Trim(b, "\x00")) != 0 {
				t.Errorf("%s: block %d is %q..., want count %d", what, i, b[:min(len(b), 20)], least)
			}
		}
		others.Go(func() {
			rng := rand.New(rand.NewPCG(9, 1))
			for {
				select {
				case <-stop:
					return
				default:
				}
				i := rng.IntN(blocks)
				least := wrote[i].Load()
				b := make([]byte, size)
				n, err := d.ReadAt(r.ctx, b, int64(i*size))
				if errors.Is(err, ErrGone) {
					continue
				}
				if err != nil && err != io.EOF || n < size && least > 0 {
					t.Errorf("read %d: %v", n, err)
					return
				}
				if least == 0 {
					continue // may be half written
				}
				// A writer may be in the middle of the next count: compare the start.
				if n == size && least == int64(c.rounds) {
					check("read", b, i, int(least))
				}
			}
		})
		others.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				before := make([]int64, blocks)
				for i := range before {
					before[i] = wrote[i].Load()
				}
				o, err := d.Commit(r.ctx, now())
				if err != nil {
					t.Error(err)
					return
				}
				cond.Store(objstore.Cond{Version: o.Version})
				got := r.object("k")
				for i, least := range before {
					if least > 0 {
						check("object", got[i*size:(i+1)*size], i, int(least))
					}
				}
			}
		})
		others.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				o := r.pool.New()
				o.Start(at("other"))
				if err := o.WriteAt(r.ctx, text(uint64(i), 50*kib), 0); err != nil {
					t.Error(err)
				}
				o.Discard()
			}
		})
		writers.Wait()
		close(stop)
		others.Wait()
		r.commit(d, now())
		got := r.object("k")
		for i := range blocks {
			if n := wrote[i].Load(); n > 0 {
				check("end", got[i*size:(i+1)*size], i, int(n))
			}
		}
		r.end()
	}
}
