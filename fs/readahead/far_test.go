package readahead

import (
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/pailfs/pailfs/objstore"
)

// Time is virtual here: only the store takes any.
func TestFarStoreIsUsedWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size, limit, rate = 512 * mib, 256 * mib, 60e6
		store := &shaped{content: make([]byte, mib), latency: 30 * time.Millisecond, rate: rate}
		p := NewPool(Options{Store: store, Memory: semaphore.NewWeighted(limit), Limit: limit})
		r := p.Open(objstore.Object{Key: "k", Size: size})
		defer r.Close()
		b := make([]byte, readSize)
		start := time.Now()
		for off := int64(0); off < size; off += readSize {
			if _, err := r.ReadAt(t.Context(), b, off); err != nil {
				t.Fatal(err)
			}
			if d := time.Since(start); off == 0 && d > 40*time.Millisecond {
				t.Errorf("the first read took %v", d)
			}
		}
		got, most := float64(size)/time.Since(start).Seconds(), rate*defaultParallel
		t.Logf("%.0f MB/s of %.0f", got/1e6, most/1e6)
		if got < 0.75*most {
			t.Errorf("%.0f MB/s of %.0f", got/1e6, most/1e6)
		}
	})
}
