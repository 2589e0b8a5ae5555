package readahead

import (
	"context"
	"io"
	"testing"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/pailfs/pailfs/objstore"
)

// shaped is a store of one endless object, as far away and as fast as it says.
type shaped struct {
	objstore.Store
	content []byte        // repeated
	latency time.Duration // to the first byte
	rate    float64       // bytes a second of one body; 0 has no limit
}

func (s *shaped) Get(_ context.Context, _ string, rg objstore.Range, _ objstore.Cond) (io.ReadCloser, objstore.Object, error) {
	time.Sleep(s.latency)
	return &shapedBody{s: s, off: rg.Off, end: rg.Off + rg.Len, from: rg.Off, start: time.Now()}, objstore.Object{}, nil
}

type shapedBody struct {
	s              *shaped
	from, off, end int64
	start          time.Time
}

func (b *shapedBody) Close() error { return nil }

func (b *shapedBody) Read(p []byte) (int, error) {
	if b.off == b.end {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), b.end-b.off, 64*kib)]
	n := copy(p, b.s.content[b.off%int64(len(b.s.content)):])
	b.off += int64(n)
	if b.s.rate > 0 {
		due := time.Duration(float64(b.off-b.from) / b.s.rate * float64(time.Second))
		time.Sleep(due - time.Since(b.start))
	}
	return n, nil
}

func benchmark(b *testing.B, store *shaped, opt Options, n int64) {
	store.content = content(16 * mib)
	opt.Store, opt.Memory = store, semaphore.NewWeighted(opt.Limit)
	p := NewPool(opt)
	buf := make([]byte, n)
	b.SetBytes(n)
	b.ReportAllocs()
	b.ResetTimer()
	r := p.Open(objstore.Object{Key: "k", Size: 1 << 50})
	for i := range int64(b.N) {
		if _, err := r.ReadAt(b.Context(), buf, i*n); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	r.Close()
}

func BenchmarkSequential128K(b *testing.B) {
	benchmark(b, &shaped{}, Options{Limit: 128 * mib}, readSize)
}

func BenchmarkSequential4K(b *testing.B) {
	benchmark(b, &shaped{}, Options{Limit: 128 * mib}, 4*kib)
}

// A bucket far away: 30 ms to the first byte, 60 MB/s a connection, so that
// eight connections give 480 MB/s.
func BenchmarkSequentialShaped(b *testing.B) {
	benchmark(b, &shaped{latency: 30 * time.Millisecond, rate: 60e6}, Options{Limit: 128 * mib}, readSize)
}
