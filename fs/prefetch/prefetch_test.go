package prefetch

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"golang.org/x/sync/semaphore"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/faultstore"
	"github.com/pailfs/pailfs/objstore/memstore"
)

type world struct {
	*testing.T
	store  objstore.Store
	faults *faultstore.Faults
	memory *semaphore.Weighted
	p      *Pool
}

const limit = 1 << 20

func newWorld(t *testing.T) *world {
	w := &world{T: t, memory: semaphore.NewWeighted(limit)}
	w.store, w.faults = faultstore.Wrap(memstore.New(memstore.Options{}))
	w.p = New(w.store, w.memory)
	t.Cleanup(func() {
		w.p.Close()
		if !w.memory.TryAcquire(limit) {
			t.Error("memory is not given back")
		}
	})
	return w
}

func (w *world) put(key string, size int) objstore.Object {
	w.Helper()
	b := bytes.Repeat([]byte(key), size/len(key)+1)[:size]
	obj, err := w.store.Put(w.Context(), key, io.NewSectionReader(bytes.NewReader(b), 0, int64(size)), objstore.PutOptions{})
	if err != nil {
		w.Fatal(err)
	}
	return obj
}

func (w *world) read(obj objstore.Object) ([]byte, error) {
	body, _, err := w.p.Get(w.Context(), obj.Key, objstore.Range{Len: obj.Size}, objstore.Cond{Version: obj.Version})
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}

func TestFetchedOnce(t *testing.T) {
	w := newWorld(t)
	obj := w.put("abc", 20_000)
	for range 3 {
		if !w.p.Fetch(obj) {
			t.Fatal("no room")
		}
	}
	b, err := w.read(obj)
	if err != nil || len(b) != 20_000 || string(b[:6]) != "abcabc" {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	if n := w.faults.Count(faultstore.Get, "*"); n != 1 {
		t.Errorf("%d Gets", n)
	}
	w.p.Fetch(obj)
	body, _, err := w.p.Get(t.Context(), obj.Key, objstore.All, objstore.Cond{Version: obj.Version})
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if b, err := io.ReadAll(body); err != nil || len(b) != 20_000 || w.faults.Count(faultstore.Get, "*") != 2 {
		t.Errorf("as a whole: %d bytes, %v", len(b), err)
	}
	if b, err := w.read(obj); err != nil || len(b) != 20_000 {
		t.Errorf("again: %d bytes, %v", len(b), err)
	}
}

func TestOldVersionIsErrCond(t *testing.T) {
	w := newWorld(t)
	obj := w.put("k", 100)
	w.put("k", 200)
	w.p.Fetch(obj)
	if b, err := w.read(obj); !errors.Is(err, objstore.ErrCond) {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

func TestNoMemoryNoFetch(t *testing.T) {
	w := newWorld(t)
	if !w.memory.TryAcquire(limit - 1000) {
		t.Fatal()
	}
	if w.p.Fetch(w.put("a", 2000)) {
		t.Error("fetched without memory")
	}
	if !w.p.Fetch(w.put("b", 1000)) {
		t.Error("not fetched")
	}
	w.memory.Release(limit - 1000)
}

func TestCancelledWait(t *testing.T) {
	w := newWorld(t)
	gate := faultstore.NewGate()
	w.faults.Add(faultstore.Rule{Op: faultstore.Get, Gate: gate})
	obj := w.put("k", 100)
	w.p.Fetch(obj)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := w.p.Get(ctx, "k", objstore.Range{Len: 100}, objstore.Cond{Version: obj.Version}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled", err)
	}
	gate.Release()
}
