package transfer

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/faultstore"
	"github.com/pailfs/pailfs/objstore/memstore"
)

// unit is the size of parts here.
const unit = 1 << 20

func noise(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	r.Read(b)
	return b
}

func put(t *testing.T, s objstore.Store, key string, content []byte) objstore.Object {
	t.Helper()
	o, err := s.Put(t.Context(), key, io.NewSectionReader(bytes.NewReader(content), 0, int64(len(content))),
		objstore.PutOptions{ContentType: "x/y", Metadata: map[string]string{"mode": "420"}})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func content(t *testing.T, s objstore.Store, key string) ([]byte, objstore.Object) {
	t.Helper()
	body, o, err := s.Get(t.Context(), key, objstore.All, objstore.Cond{})
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	b, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return b, o
}

func TestCopy(t *testing.T) {
	plain := memstore.Options{}
	ordered := memstore.Options{Caps: func(c *objstore.Caps) { c.OrderedParts = true }}
	for name, c := range map[string]struct {
		size int
		dst  memstore.Options
		same bool
	}{
		"empty": {0, plain, false}, "small": {1000, plain, false}, "parts": {2*unit + 5, plain, false},
		"whole parts": {2 * unit, plain, false}, "ordered": {2*unit + 5, ordered, false}, "inside": {1000, plain, true},
	} {
		t.Run(name, func(t *testing.T) {
			src, dst := memstore.New(plain), memstore.New(c.dst)
			if c.same {
				dst = src
			}
			want := noise(c.size)
			put(t, src, "a", want)
			var arrived atomic.Int64
			copier := &Copier{Src: src, Dst: dst, Same: c.same, Parallel: 2, part: unit, Arrived: func(n int64) { arrived.Add(n) }}
			for o, err := range objstore.ListAll(t.Context(), src, objstore.ListRequest{}) {
				if err != nil {
					t.Fatal(err)
				}
				if copied, err := copier.Copy(t.Context(), o, "b"); err != nil || !copied {
					t.Fatalf("copied %v, %v", copied, err)
				}
			}
			got, o := content(t, dst, "b")
			if !bytes.Equal(got, want) || o.ContentType != "x/y" || !maps.Equal(o.Metadata, map[string]string{"mode": "420"}) {
				t.Errorf("the copy has %d bytes, %+v", len(got), o)
			}
			if arrived.Load() != int64(c.size) {
				t.Errorf("%d bytes arrived", arrived.Load())
			}
		})
	}
}

// A source that is replaced while it is copied is never mixed, and a copy that
// fails leaves nothing behind.
func TestCopyFails(t *testing.T) {
	for name, spoil := range map[string]func(src *faultstore.Faults, dst *faultstore.Faults, cancel func()){
		"read": func(src, _ *faultstore.Faults, _ func()) {
			src.Add(faultstore.Rule{Op: faultstore.Get, Skip: 1, Err: objstore.ErrCond})
		},
		"short": func(src, _ *faultstore.Faults, _ func()) {
			src.Add(faultstore.Rule{Op: faultstore.Get, Cut: faultstore.After(5), CutErr: io.EOF})
		},
		"write": func(_, dst *faultstore.Faults, _ func()) {
			dst.Add(faultstore.Rule{Op: faultstore.Part, Part: 2, Err: objstore.ErrQuota})
		},
		"commit": func(_, dst *faultstore.Faults, _ func()) {
			dst.Add(faultstore.Rule{Op: faultstore.Commit, Err: objstore.ErrTransient})
		},
		"interrupt": func(_, _ *faultstore.Faults, cancel func()) { cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			inner := memstore.New(memstore.Options{})
			src, srcFaults := faultstore.Wrap(memstore.New(memstore.Options{}))
			dst, dstFaults := faultstore.Wrap(inner)
			o := put(t, src, "a", noise(2*unit+5))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			spoil(srcFaults, dstFaults, cancel)
			if copied, err := (&Copier{Src: src, Dst: dst, Parallel: 3, part: unit}).Copy(ctx, o, "b"); err == nil || copied {
				t.Errorf("copied %v, %v", copied, err)
			}
			if _, err := inner.Stat(t.Context(), "b"); !errors.Is(err, objstore.ErrNotFound) || inner.Uploads() != 0 {
				t.Errorf("left behind: %v, %d uploads", err, inner.Uploads())
			}
		})
	}
}

func TestUpdate(t *testing.T) {
	src, dst := memstore.New(memstore.Options{}), memstore.New(memstore.Options{})
	c := &Copier{Src: src, Dst: dst, Update: true}
	o := put(t, src, "a", []byte("one"))
	for i, want := range []bool{true, false} {
		if copied, err := c.Copy(t.Context(), o, "a"); copied != want || err != nil {
			t.Errorf("copy %d: %v, %v", i, copied, err)
		}
	}
	o = put(t, src, "a", []byte("two"))
	if copied, err := c.Copy(t.Context(), o, "a"); !copied || err != nil {
		t.Errorf("after a change of the same size: %v, %v", copied, err)
	}
	c = &Copier{Src: src, Dst: dst, Absent: true}
	if _, err := c.Copy(t.Context(), o, "a"); !errors.Is(err, objstore.ErrCond) {
		t.Errorf("onto an object: %v", err)
	}
}

func TestPartSize(t *testing.T) {
	s3 := objstore.Caps{MinPart: 5 << 20, MaxPart: 5 << 30, MaxParts: 10_000, MaxObject: 48 << 40}
	for size, want := range map[int64]int64{1: minPart, 100 << 30: minPart, 1 << 40: 109951163} {
		if got, err := partSize(s3, minPart, size); got != want || err != nil {
			t.Errorf("%d bytes: %d, %v, want %d", size, got, err, want)
		}
	}
	if _, err := partSize(s3, minPart, 49<<40); err == nil {
		t.Error("49 TiB fit")
	}
}
