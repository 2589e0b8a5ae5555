package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// pieces are the offsets that a job reads at, the same for all who do it.
func (j job) pieces() []int64 {
	r := rand.New(rand.NewPCG(1, 2))
	offs := make([]int64, j.Count)
	for i := range offs {
		if j.Do == "strided" {
			offs[i] = int64(i) * strideStep
		} else {
			offs[i] = r.Int64N(j.Of/j.Size) * j.Size
		}
	}
	return offs
}

// readPieces reads piece after piece, and says how long the median one took and
// all but one in a hundred.
func (j job) readPieces(read func(b []byte, off int64) error) (p50, p99 time.Duration, err error) {
	b := make([]byte, j.Size)
	var took []time.Duration
	for _, off := range j.pieces() {
		begin := time.Now()
		if err := read(b, off); err != nil {
			return 0, 0, fmt.Errorf("at %d: %w", off, err)
		}
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	return took[(len(took)-1)/2], took[(len(took)-1)*99/100], nil
}

// filePieces is readPieces of a file in a mount.
func (j job) filePieces(context.Context) (p50, p99 time.Duration, err error) {
	f, err := os.Open(j.Dir + "/" + j.Key)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	return j.readPieces(func(b []byte, off int64) error {
		_, err := f.ReadAt(b, off)
		return err
	})
}

// objectPieces is readPieces with the SDK.
func (t *transfer) objectPieces(ctx context.Context) (p50, p99 time.Duration, err error) {
	return t.readPieces(func(b []byte, off int64) error {
		body, err := t.client.get(ctx, t.Bucket, t.Key, off, int64(len(b)))
		if err != nil {
			return err
		}
		_, err = io.ReadFull(body, b)
		return errors.Join(err, body.Close())
	})
}

// readAtOnce reads a file in as many pieces as there are readers, all at once.
func (j job) readAtOnce(context.Context) error {
	var g errgroup.Group
	n := j.Size / int64(j.Count)
	for i := range int64(j.Count) {
		g.Go(func() error {
			f, err := os.Open(j.Dir + "/" + j.Key)
			if err != nil {
				return err
			}
			defer f.Close()
			got, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{io.NewSectionReader(f, i*n, n)}, make([]byte, 1<<20))
			if err == nil && got != n {
				err = fmt.Errorf("%d bytes of %d", got, n)
			}
			return err
		})
	}
	return g.Wait()
}

// readLocal reads the source, as a program reads a local file.
func (j job) readLocal(context.Context) error {
	f, err := os.Open(j.Source)
	if err != nil {
		return err
	}
	defer f.Close()
	got, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{f}, make([]byte, 1<<20))
	if err == nil && got != j.Size {
		err = fmt.Errorf("%d bytes of %d", got, j.Size)
	}
	return err
}

// fetch reads small objects, each after the one before.
func (t *transfer) fetch(ctx context.Context) error {
	for i := range t.Count {
		key := smallName(i)
		body, err := t.client.get(ctx, t.Bucket, key, 0, -1)
		if err != nil {
			return err
		}
		n, err := io.Copy(io.Discard, body)
		body.Close()
		if err != nil || n != t.Size {
			return fmt.Errorf("%s: %d bytes of %d: %v", key, n, t.Size, err)
		}
	}
	return nil
}
