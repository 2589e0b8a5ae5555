package readahead

import (
	"sync"
	"testing"

	"golang.org/x/sync/semaphore"
	"pgregory.net/rapid"
)

func TestRandomOffsets(t *testing.T) {
	body := content(12*mib + 777)
	shared := newRig(t, body, Options{Limit: 1})
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.SampledFrom([]int64{64 * kib, 300 * kib, 2 * mib, 9 * mib, 64 * mib}).Draw(t, "limit")
		opt := Options{Store: shared.store, Limit: limit, Memory: semaphore.NewWeighted(limit)}
		g := &rig{t: t, store: shared.store, pool: NewPool(opt), limit: limit, obj: shared.obj, content: body}
		g.pool.idle = 0
		rs := []*Reader{g.pool.Open(g.obj), g.pool.Open(g.obj)}
		pos := int64(0)
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			var wg sync.WaitGroup
			for range rapid.IntRange(1, 4).Draw(t, "at once") {
				r := rapid.SampledFrom(rs).Draw(t, "reader")
				n := rapid.Int64Range(1, mib).Draw(t, "n")
				switch rapid.IntRange(0, 3).Draw(t, "how") {
				case 0:
					pos = rapid.Int64Range(0, g.obj.Size-1).Draw(t, "off")
				case 1:
					pos = max(0, pos-rapid.Int64Range(0, 2*mib).Draw(t, "back"))
				}
				off := min(pos, g.obj.Size-1)
				wg.Go(func() { g.read(r, off, n) })
				pos = off + n
			}
			wg.Wait()
		}
		for _, r := range rs {
			r.Close()
		}
		g.free()
	})
}
