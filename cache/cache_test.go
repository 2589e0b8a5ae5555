package cache

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/faultstore"
	"github.com/pailfs/pailfs/objstore/memstore"
)

// world is a store that counts, and a cache over it.
type world struct {
	*testing.T
	store  objstore.Store
	faults *faultstore.Faults
	opt    Options
	log    *bytes.Buffer
	logMu  *sync.Mutex
	c      *Cache
	g      Getter
}

func newWorld(t *testing.T, opt Options) *world {
	t.Helper()
	w := &world{T: t, opt: opt, log: &bytes.Buffer{}, logMu: &sync.Mutex{}}
	w.store, w.faults = faultstore.Wrap(memstore.New(memstore.Options{}))
	w.opt.Store = "test"
	w.opt.Log = slog.New(slog.NewTextHandler(lockedWriter{w}, nil))
	w.open()
	t.Cleanup(func() { w.c.Close() })
	return w
}

type lockedWriter struct{ w *world }

func (l lockedWriter) Write(b []byte) (int, error) {
	l.w.logMu.Lock()
	defer l.w.logMu.Unlock()
	return l.w.log.Write(b)
}

func (w *world) logged() string {
	w.logMu.Lock()
	defer w.logMu.Unlock()
	return w.log.String()
}

func (w *world) open() {
	w.c = Open(w.opt)
	w.g = w.c.Over(w.store)
}

// restart closes the cache and opens it again.
func (w *world) restart() {
	w.c.Close()
	w.open()
}

func (w *world) put(key string, size int64) (objstore.Object, []byte) {
	w.Helper()
	b := make([]byte, size)
	r := rand.NewChaCha8([32]byte{byte(size), byte(len(key))})
	r.Read(b)
	obj, err := w.store.Put(w.Context(), key, io.NewSectionReader(bytes.NewReader(b), 0, size), objstore.PutOptions{})
	if err != nil {
		w.Fatal(err)
	}
	return obj, b
}

func (w *world) get(obj objstore.Object, off, n int64) ([]byte, error) {
	body, got, err := w.g.Get(w.Context(), obj.Key, objstore.Range{Off: off, Len: n}, objstore.Cond{Version: obj.Version})
	if err != nil {
		return nil, err
	}
	defer body.Close()
	if got.Key != obj.Key || got.Version != obj.Version {
		w.Errorf("Get of %q %q tells of %q %q", obj.Key, obj.Version, got.Key, got.Version)
	}
	// Pieces as large as those of a stream: some are whole blocks.
	var out []byte
	piece := make([]byte, BlockSize)
	for {
		m, err := body.Read(piece)
		out = append(out, piece[:m]...)
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return out, err
		}
	}
}

func (w *world) check(obj objstore.Object, want []byte, off, n int64) {
	w.Helper()
	got, err := w.get(obj, off, n)
	if err != nil {
		w.Fatalf("get %d+%d: %v", off, n, err)
	}
	end := int64(len(want))
	if n >= 0 {
		end = min(off+n, end)
	}
	if !bytes.Equal(got, want[off:end]) {
		w.Fatalf("get %d+%d: %d bytes that are not those of the object", off, n, len(got))
	}
}

func (w *world) gets() int { return w.faults.Count(faultstore.Get, "*") }

// expect checks how many requests f makes.
func (w *world) expect(n int, f func()) {
	w.Helper()
	before := w.gets()
	f()
	if got := w.gets() - before; got != n {
		w.Errorf("%d requests, want %d", got, n)
	}
}

const odd = 5*BlockSize + 777 // a size with a short last block

func TestSecondReadCostsNothing(t *testing.T) {
	tiers := map[string]Options{
		"memory": {Memory: 16 << 20},
		"disk":   {Dir: t.TempDir(), Size: 64 << 20},
		"both":   {Memory: 16 << 20, Dir: t.TempDir(), Size: 64 << 20},
	}
	for name, opt := range tiers {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, opt)
			obj, want := w.put("a", odd)
			w.expect(1, func() { w.check(obj, want, 0, odd) })
			w.c.Flush()
			w.expect(0, func() {
				w.check(obj, want, 0, odd)
				w.check(obj, want, 100, 10)
				w.check(obj, want, BlockSize-1, 2)
				w.check(obj, want, odd-1, 1)
				w.check(obj, want, 5*BlockSize, BlockSize) // cut at the end
				w.check(obj, want, 0, -1)
				w.check(obj, want, BlockSize+1, -1)
			})
			whole, want := w.put("whole", 2*BlockSize)
			w.expect(1, func() { w.check(whole, want, 0, -1) })
			w.c.Flush()
			w.expect(0, func() { w.check(whole, want, 0, -1) })
			newer, bytes := w.put("a", odd+1)
			w.expect(1, func() { w.check(newer, bytes, 0, odd+1) })
		})
	}
}

func TestDiskSurvivesARestart(t *testing.T) {
	w := newWorld(t, Options{Dir: t.TempDir(), Size: 64 << 20})
	obj, want := w.put("a", odd)
	w.check(obj, want, 0, odd)
	w.restart()
	w.expect(0, func() { w.check(obj, want, 0, odd) })
	w.opt.Store = "another"
	w.restart()
	w.expect(1, func() { w.check(obj, want, 0, odd) })
}

// What is there is used also where something between is missing, unless that
// would make many requests of one.
func TestHoles(t *testing.T) {
	w := newWorld(t, Options{Dir: t.TempDir(), Size: 64 << 20})
	obj, want := w.put("a", 40*BlockSize)
	w.check(obj, want, 10*BlockSize, 10*BlockSize)
	w.c.Flush()
	w.expect(2, func() { w.check(obj, want, 0, 40*BlockSize) })

	obj, want = w.put("b", 40*BlockSize)
	for i := int64(1); i < 40; i += 2 {
		w.check(obj, want, i*BlockSize, BlockSize)
	}
	w.c.Flush()
	w.expect(1, func() { w.check(obj, want, 0, 39*BlockSize) })
	w.c.Flush()
	w.expect(0, func() { w.check(obj, want, 0, 40*BlockSize) })
}

func TestPartsOfBlocksAreNotKept(t *testing.T) {
	w := newWorld(t, Options{Dir: t.TempDir(), Size: 64 << 20, Memory: 1 << 20})
	obj, want := w.put("a", 4*BlockSize)
	w.check(obj, want, 10, 2*BlockSize) // one block is whole in it
	w.c.Flush()
	w.expect(0, func() { w.check(obj, want, BlockSize, BlockSize) })
	w.expect(1, func() { w.check(obj, want, 0, BlockSize) })
	w.expect(1, func() { w.check(obj, want, 2*BlockSize, 100) })
}

func TestPut(t *testing.T) {
	w := newWorld(t, Options{Dir: t.TempDir(), Size: 64 << 20})
	obj, want := w.put("a", odd)
	w.c.Put(obj, want[:BlockSize+10], 0)
	w.c.Put(obj, want[BlockSize:], BlockSize)
	w.c.Flush()
	w.expect(0, func() { w.check(obj, want, 0, odd) })
}

// A nil cache and one without tiers are no cache.
func TestNothing(t *testing.T) {
	w := newWorld(t, Options{})
	obj, want := w.put("a", odd)
	w.expect(2, func() {
		w.check(obj, want, 0, odd)
		w.check(obj, want, 0, odd)
	})
	var none *Cache
	none.Put(obj, want, 0)
	none.Flush()
	none.Close()
	if none.Stats() != (Stats{}) || none.Wants() {
		t.Error("the nil cache counts")
	}
}

// Any mix of what is there and what is not gives the bytes of the object.
func TestRandomReads(t *testing.T) {
	for name, opt := range map[string]Options{
		"one block": {Memory: BlockSize, Dir: t.TempDir(), Size: BlockSize + 32<<10},
		"some":      {Memory: 4 * BlockSize, Dir: t.TempDir(), Size: 24 * BlockSize},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, opt)
			obj, want := w.put("a", 12*BlockSize+5000)
			other, bytes := w.put("b", 3*BlockSize)
			r := rand.New(rand.NewPCG(1, 2))
			for range 100 {
				off := r.Int64N(obj.Size)
				w.check(obj, want, off, 1+r.Int64N(obj.Size-off))
				w.check(other, bytes, 0, other.Size)
			}
		})
	}
}

func TestStaleVersionIsErrCond(t *testing.T) {
	w := newWorld(t, Options{Dir: t.TempDir(), Size: 64 << 20})
	obj, want := w.put("a", 20*BlockSize)
	w.check(obj, want, 0, BlockSize)
	w.c.Flush()
	w.put("a", odd)
	w.check(obj, want, 0, BlockSize) // still the version that was asked for
	if got, err := w.get(obj, 0, 2*BlockSize); !errors.Is(err, objstore.ErrCond) {
		t.Errorf("%d bytes, %v; want ErrCond", len(got), err)
	}
}

// What the store says at the end of a body is heard before its last bytes are
// used, and what came before is not kept.
func TestBodyWithWrongChecksum(t *testing.T) {
	w := newWorld(t, Options{Dir: t.TempDir(), Size: 64 << 20, Memory: 16 << 20})
	obj, want := w.put("a", 4*BlockSize)
	remove := w.faults.Add(faultstore.Rule{Op: faultstore.Get, Cut: faultstore.After(4 * BlockSize), CutErr: objstore.ErrChecksum})
	got, err := w.get(obj, 0, obj.Size)
	if !errors.Is(err, objstore.ErrChecksum) || int64(len(got)) >= obj.Size {
		t.Fatalf("%d bytes, %v; want ErrChecksum before the last of %d", len(got), err, obj.Size)
	}
	remove()
	w.c.Flush()
	w.expect(1, func() { w.check(obj, want, 0, obj.Size) })
}

// Of a small object nothing is kept before all of it is known to be right.
func TestNothingIsKeptBeforeTheChecksum(t *testing.T) {
	w := newWorld(t, Options{Memory: 16 << 20})
	obj, want := w.put("a", 4*BlockSize)
	body, _, err := w.g.Get(t.Context(), obj.Key, objstore.All, objstore.Cond{Version: obj.Version})
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if _, err := io.ReadFull(body, make([]byte, 3*BlockSize)); err != nil {
		t.Fatal(err)
	}
	w.c.Flush()
	w.expect(1, func() { w.check(obj, want, BlockSize, 10) })
	if _, err := io.ReadAll(body); err != nil {
		t.Fatal(err)
	}
	w.c.Flush()
	w.expect(0, func() { w.check(obj, want, 0, obj.Size) })
}

func TestTwoCachesShareADirectory(t *testing.T) {
	w := newWorld(t, Options{Dir: t.TempDir(), Size: 6 << 20})
	var objs []objstore.Object
	var wants [][]byte
	for i := range 8 {
		obj, b := w.put(strings.Repeat("k", i+1), 8*BlockSize)
		objs, wants = append(objs, obj), append(wants, b)
	}
	other := *w
	other.open()
	defer other.c.Close()
	var wg sync.WaitGroup
	for n, user := range []*world{w, &other} {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(n), 7))
			for range 150 {
				i, off := r.IntN(len(objs)), r.Int64N(7*BlockSize)
				got, err := user.get(objs[i], off, BlockSize)
				if err != nil || !bytes.Equal(got, wants[i][off:off+BlockSize]) {
					t.Errorf("object %d at %d: %d bytes, %v", i, off, len(got), err)
					return
				}
			}
		})
	}
	wg.Wait()
	w.c.Flush()
	other.c.Flush()
	if n := w.c.Stats().Corrupt + other.c.Stats().Corrupt; n > 0 {
		t.Errorf("%d blocks look damaged\n%s", n, w.logged())
	}
	if used := diskUsage(t, w.opt.Dir); used > w.opt.Size {
		t.Errorf("%d bytes in the directory, budget %d", used, w.opt.Size)
	}
}

// diskUsage is what du says of the cache's files.
func diskUsage(t *testing.T, dir string) int64 {
	t.Helper()
	sum := int64(0)
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil // evicted meanwhile
		}
		var st syscall.Stat_t
		if syscall.Stat(path, &st) == nil {
			sum += st.Blocks * 512
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// A cancelled context reaches the request.
func TestCancel(t *testing.T) {
	w := newWorld(t, Options{Memory: 1 << 20})
	obj, _ := w.put("a", odd)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := w.g.Get(ctx, obj.Key, objstore.Range{Off: 0, Len: odd}, objstore.Cond{Version: obj.Version})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled", err)
	}
}
