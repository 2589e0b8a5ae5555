package readahead

import (
	"context"
	"io"
	"io/fs"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/pailfs/pailfs/objstore"
)

const readSize = 128 * kib

func TestSequentialTakesFewGets(t *testing.T) {
	for _, n := range []int64{4 * kib, readSize, mib} {
		bubble(t, 48*mib+12345, Options{Limit: 256 * mib}, func(t *testing.T, g *rig, r *Reader) {
			for off := int64(0); off < g.obj.Size; off += n {
				g.read(r, off, n)
			}
			if _, err := r.ReadAt(t.Context(), make([]byte, 1), g.obj.Size); err != io.EOF {
				t.Errorf("read at the end: %v, want io.EOF", err)
			}
			synctest.Wait()
			g.once()
			if got := g.store.bytes(); got != g.obj.Size {
				t.Errorf("fetched %d bytes of %d", got, g.obj.Size)
			}
			gets := g.store.gets()
			if gets[0] != (objstore.Range{Off: 0, Len: firstGet}) {
				t.Errorf("the first Get is %v", gets[0])
			}
			if len(gets) > 36 {
				t.Errorf("%d Gets for reads of %d: %v", len(gets), n, gets)
			}
		})
	}
}

func TestWindowIsFullAndBounded(t *testing.T) {
	const window = 16 * mib
	bubble(t, 64*mib, Options{Limit: 64 * mib, MaxWindow: window}, func(t *testing.T, g *rig, r *Reader) {
		for off := int64(0); off < 8*mib; off += readSize {
			g.read(r, off, readSize)
		}
		synctest.Wait()
		if got := g.store.bytes(); got < 8*mib+window-maxChunk || got > 8*mib+window {
			t.Errorf("%d MiB fetched with 8 MiB read and a window of 16", got/mib)
		}
	})
}

func TestSmallObjectIsOneGet(t *testing.T) {
	for _, size := range []int64{1, 10 * kib, 700 * kib, firstGet} {
		bubble(t, size, Options{Limit: 16 * mib}, func(t *testing.T, g *rig, r *Reader) {
			g.read(r, size/2, readSize)
			for off := int64(0); off < size; off += readSize {
				g.read(r, off, readSize)
			}
			if n := len(g.store.gets()); n != 1 {
				t.Errorf("%d Gets for %d bytes", n, size)
			}
		})
	}
}

func TestOverlappingRequestsAreOneStream(t *testing.T) {
	for _, n := range []int64{readSize, mib} {
		for _, from := range []int64{0, 20 * mib} {
			bubble(t, 64*mib, Options{Limit: 256 * mib}, func(t *testing.T, g *rig, r *Reader) {
				rnd := rand.New(rand.NewPCG(uint64(n), uint64(from)))
				end := from + 32*mib
				for off := from; off < end; off += 8 * n {
					var wg sync.WaitGroup
					for _, i := range rnd.Perm(8) {
						wg.Go(func() { g.read(r, off+int64(i)*n, n) })
					}
					wg.Wait()
				}
				r.mu.Lock()
				if len(r.streams) != 1 {
					t.Errorf("%d streams, want 1", len(r.streams))
				}
				r.mu.Unlock()
				synctest.Wait()
				g.once()
				if got := len(g.store.gets()); got > 56 {
					t.Errorf("%d Gets: %v", got, g.store.gets())
				}
			})
		}
	}
}

func TestStreamsAreToldApart(t *testing.T) {
	const streams, each = 8, 8 * mib
	bubble(t, streams*each, Options{Limit: 1024 * mib}, func(t *testing.T, g *rig, r *Reader) {
		for off := int64(0); off < each/2; off += readSize {
			for s := range int64(streams) {
				g.read(r, s*each+off, readSize)
			}
		}
		synctest.Wait()
		g.once()
		if n := len(g.store.gets()); n > 12*streams {
			t.Errorf("%d Gets: %v", n, g.store.gets())
		}
	})
}

func TestRandomReadsFetchLittle(t *testing.T) {
	for _, n := range []int64{4 * kib, readSize} {
		bubble(t, 96*mib, Options{Limit: 64 * mib}, func(t *testing.T, g *rig, r *Reader) {
			rnd := rand.New(rand.NewPCG(1, 2))
			const reads = 200
			for range reads {
				g.read(r, mib+rnd.Int64N(94*mib)&^4095, n)
			}
			synctest.Wait()
			// Two that touch by chance may open a small window.
			if got, most := g.store.bytes(), reads*(n+readSize)+4*mib; got > most {
				t.Errorf("%d bytes fetched for %d reads of %d, want at most %d", got, reads, n, most)
			}
		})
	}
}

func TestRandomReadsAfterAStreamFetchLittle(t *testing.T) {
	bubble(t, 128*mib, Options{Limit: 256 * mib}, func(t *testing.T, g *rig, r *Reader) {
		for off := int64(0); off < 32*mib; off += readSize {
			g.read(r, off, readSize)
		}
		synctest.Wait()
		before := g.store.bytes()
		rnd := rand.New(rand.NewPCG(1, 2))
		for range 200 {
			g.read(r, 32*mib+rnd.Int64N(95*mib)&^4095, 4*kib)
		}
		synctest.Wait()
		if got := g.store.bytes() - before; got > 200*readSize+128*mib {
			t.Errorf("%d MiB fetched for 200 reads of 4 KiB", got/mib)
		}
	})
}

func TestStridesEndAStream(t *testing.T) {
	bubble(t, 128*mib, Options{Limit: 256 * mib}, func(t *testing.T, g *rig, r *Reader) {
		off := int64(0)
		for ; off < 16*mib; off += readSize {
			g.read(r, off, readSize)
		}
		for range 20 {
			off += 3 * mib
			g.read(r, off, 4*kib)
		}
		synctest.Wait()
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, s := range r.streams {
			if s.held > maxYoung+maxChunk {
				t.Errorf("a stream is left that holds %d bytes", s.held)
			}
		}
	})
}

// Reads with gaps between them are no stream: what is left out is not fetched,
// once that is clear.
func TestStridesFetchWhatIsRead(t *testing.T) {
	for _, step := range []int64{4 * mib, 8 * mib, 12 * mib} {
		bubble(t, 128*mib, Options{Limit: 256 * mib}, func(t *testing.T, g *rig, r *Reader) {
			var read, before int64
			var gets int
			for off := int64(0); off < g.obj.Size; off += step {
				if off == 5*step {
					synctest.Wait()
					before, gets = g.store.bytes(), len(g.store.gets())
				}
				for at := off; at < off+mib; at += readSize {
					g.read(r, at, readSize)
				}
				if off >= 5*step {
					read += mib
				}
			}
			synctest.Wait()
			if got := g.store.bytes() - before; got > read*5/4 {
				t.Errorf("%d MiB fetched to read %d, every %d", got/mib, read/mib, step/mib)
			}
			if n := int64(len(g.store.gets()) - gets); n > read/mib*5/4 {
				t.Errorf("%d Gets to read %d MiB, every %d", n, read/mib, step/mib)
			}
		})
	}
}

func TestShortSeeks(t *testing.T) {
	bubble(t, 128*mib, Options{Limit: 256 * mib}, func(t *testing.T, g *rig, r *Reader) {
		off := int64(0)
		for ; off < 16*mib; off += readSize {
			g.read(r, off, readSize)
		}
		synctest.Wait()
		n := len(g.store.gets())
		g.read(r, off-mib+readSize, readSize) // kept
		if got := len(g.store.gets()); got != n {
			t.Errorf("a seek back of 1 MiB took %d Gets", got-n)
		}
		off += 10 * mib
		g.read(r, off, readSize)
		for range 32 {
			off += readSize
			g.read(r, off, readSize)
		}
		r.mu.Lock()
		if len(r.streams) != 1 || r.streams[0].window < 32*mib {
			t.Errorf("the stream was reset by a seek of 10 MiB: %+v", r.streams[0])
		}
		r.mu.Unlock()
		synctest.Wait()
		g.once()
	})
}

func TestBytesAreHandedOutAsTheyArrive(t *testing.T) {
	bubble(t, 32*mib, Options{Limit: 64 * mib}, func(t *testing.T, g *rig, r *Reader) {
		release := make(chan struct{})
		g.store.body = func(_ int, _ objstore.Range, body io.ReadCloser) io.ReadCloser {
			return &gated{ReadCloser: body, after: readSize, gate: release}
		}
		g.read(r, 0, readSize) // hangs, unless the first 128 KiB are enough
		second := make(chan struct{})
		go func() { g.read(r, readSize, readSize); close(second) }()
		synctest.Wait()
		select {
		case <-second:
			t.Error("read bytes that had not arrived")
		default:
		}
		close(release)
		<-second
	})
}

// gated lets after bytes through, then waits for its gate.
type gated struct {
	io.ReadCloser
	after int64
	gate  <-chan struct{}
}

func (b *gated) Read(p []byte) (int, error) {
	if b.after == 0 {
		<-b.gate
		return b.ReadCloser.Read(p)
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.after)])
	b.after -= int64(n)
	return n, err
}

func TestConcurrentReadsShareAGet(t *testing.T) {
	bubble(t, mib, Options{Limit: 64 * mib}, func(t *testing.T, g *rig, r *Reader) {
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() { g.read(r, 300*kib, readSize) })
		}
		wg.Wait()
		if n := len(g.store.gets()); n != 1 {
			t.Errorf("%d Gets", n)
		}
	})
}

func TestCancelledReadLeavesTheGetToOthers(t *testing.T) {
	bubble(t, mib, Options{Limit: 64 * mib}, func(t *testing.T, g *rig, r *Reader) {
		release := make(chan struct{})
		g.store.before = func(ctx context.Context, _ int, _ objstore.Range) error {
			select {
			case <-release:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		first := make(chan error)
		go func() {
			_, err := r.ReadAt(ctx, make([]byte, 10), 0)
			first <- err
		}()
		synctest.Wait()
		var wg sync.WaitGroup
		wg.Go(func() { g.read(r, 0, readSize) })
		synctest.Wait()
		cancel()
		if err := <-first; err != context.Canceled {
			t.Errorf("the cancelled read: %v", err)
		}
		synctest.Wait()
		close(release)
		wg.Wait()
		if n := len(g.store.gets()); n != 1 {
			t.Errorf("%d Gets", n)
		}
	})
}

func TestCloseEndsReads(t *testing.T) {
	bubble(t, 64*mib, Options{Limit: 64 * mib}, func(t *testing.T, g *rig, r *Reader) {
		for off := int64(0); off < 2*mib; off += readSize {
			g.read(r, off, readSize)
		}
		synctest.Wait()
		g.store.before = func(ctx context.Context, _ int, _ objstore.Range) error {
			<-ctx.Done()
			return ctx.Err()
		}
		errs := make(chan error)
		for i := range int64(8) {
			go func() {
				_, err := r.ReadAt(t.Context(), make([]byte, readSize), 40*mib+i*3*mib)
				errs <- err
			}()
		}
		synctest.Wait()
		closed := make(chan struct{})
		go func() { r.Close(); close(closed) }()
		for range 8 {
			if err := <-errs; err != fs.ErrClosed {
				t.Errorf("read during Close: %v, want fs.ErrClosed", err)
			}
		}
		<-closed
		if _, err := r.ReadAt(t.Context(), make([]byte, 1), 0); err != fs.ErrClosed {
			t.Errorf("read after Close: %v, want fs.ErrClosed", err)
		}
	})
}
