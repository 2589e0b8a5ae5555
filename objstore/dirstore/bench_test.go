package dirstore

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/pailfs/pailfs/objstore"
)

func openBench(b *testing.B) *Store {
	s, err := Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s
}

func BenchmarkPutSmall(b *testing.B) {
	s := openBench(b)
	body := make([]byte, 10<<10)
	opt := objstore.PutOptions{Metadata: map[string]string{"mode": "33188"}}
	for i := 0; b.Loop(); i++ {
		if _, err := s.Put(b.Context(), fmt.Sprintf("d/k%d", i), section(body), opt); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkUpload sends 1 GiB in parts, four at a time, and the first again.
func BenchmarkUpload(b *testing.B) {
	s := openBench(b)
	const parts = 128
	body := make([]byte, 8<<20)
	b.SetBytes(parts * int64(len(body)))
	for b.Loop() {
		u, err := s.NewUpload(b.Context(), "k", objstore.PutOptions{})
		if err != nil {
			b.Fatal(err)
		}
		var g errgroup.Group
		g.SetLimit(4)
		for n := 1; n <= parts; n++ {
			g.Go(func() error { return u.PutPart(b.Context(), n, section(body)) })
		}
		err = errors.Join(g.Wait(), u.PutPart(b.Context(), 1, section(body)))
		if err == nil {
			_, err = u.Commit(b.Context(), parts)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	s := openBench(b)
	body := make([]byte, 256<<20)
	if _, err := s.Put(b.Context(), "k", section(body), objstore.PutOptions{}); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(body)))
	buf := make([]byte, 1<<20)
	for b.Loop() {
		r, _, err := s.Get(b.Context(), "k", objstore.All, objstore.Cond{})
		if err == nil {
			_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, r, buf)
			r.Close()
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
