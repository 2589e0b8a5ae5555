package draft

import (
	"context"
	"io"
	"strconv"
	"testing"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/memstore"
)

// sink is a store that reads what it is sent and keeps nothing.
type sink struct{ *memstore.Store }

type sinkUpload struct {
	size chan int64
}

func (s sink) NewUpload(context.Context, string, objstore.PutOptions) (objstore.Upload, error) {
	u := &sinkUpload{make(chan int64, 1)}
	u.size <- 0
	return u, nil
}

func (u *sinkUpload) PutPart(_ context.Context, _ int, body *io.SectionReader) error {
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{body}, make([]byte, 128<<10))
	u.size <- n + <-u.size
	return err
}

func (u *sinkUpload) Commit(context.Context, int) (objstore.Object, error) {
	return objstore.Object{Size: <-u.size, Version: "1"}, nil
}

func (u *sinkUpload) Abort(context.Context) error { return nil }

// BenchmarkStream writes 1 GiB in order, by writes of several sizes.
func BenchmarkStream(b *testing.B) {
	for _, size := range []int{4 << 10, 128 << 10, 1 << 20} {
		b.Run(strconv.Itoa(size>>10)+"K", func(b *testing.B) {
			p := NewPool(Options{Store: sink{memstore.New(memstore.Options{})}, Memory: 128 << 20})
			buf := text(1, size)
			const total = 1 << 30
			b.SetBytes(total)
			for b.Loop() {
				d := p.New()
				d.Start(at("k"))
				for off := int64(0); off < total; off += int64(size) {
					if err := d.WriteAt(b.Context(), buf, off); err != nil {
						b.Fatal(err)
					}
				}
				d.Discard()
			}
			if err := p.Close(context.Background()); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(p.Stats().Peak)/(1<<20), "MiB-peak")
		})
	}
}
