package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sync/errgroup"
)

// bufferSize is that of each direction of a connection of the raw SDKs.
const bufferSize = 64 << 10

// transfer is the raw SDK doing what the programs do through a mount, with
// nothing between it and the source: the ceiling.
type transfer struct {
	job
	client client
}

func (t *transfer) parts() int { return int((t.Size + t.PartSize - 1) / t.PartSize) }

func (t *transfer) partAt(i int) (off, n int64) {
	off = int64(i) * t.PartSize
	return off, min(t.PartSize, t.Size-off)
}

// put writes the source as one object.
func (t *transfer) put(ctx context.Context) error {
	src, err := os.Open(t.Source)
	if err != nil {
		return err
	}
	defer src.Close()
	if t.Size <= t.PartSize {
		return t.client.put(ctx, t.Bucket, t.Key, io.NewSectionReader(src, 0, t.Size))
	}
	up, err := t.client.upload(ctx, t.Bucket, t.Key, t.parts())
	if err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(t.Parallel)
	for i := range t.parts() {
		g.Go(func() error {
			off, n := t.partAt(i)
			return up.part(gctx, i, io.NewSectionReader(src, off, n))
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return up.commit(ctx)
}

// get reads an object in ranges of a part each and hands them on in order, as a
// program that reads a file gets them. Twice as many ranges as there are
// requests in flight may wait for their turn.
func (t *transfer) get(ctx context.Context) error {
	type fetched struct{ ready chan []byte }
	ahead := make(chan fetched, 2*t.Parallel)
	buffers := make(chan []byte, 2*t.Parallel)
	for range cap(buffers) {
		buffers <- nil
	}
	g, ctx := errgroup.WithContext(ctx)
	requests := make(chan struct{}, t.Parallel)
	g.Go(func() error {
		defer close(ahead)
		for i := range t.parts() {
			f := fetched{make(chan []byte, 1)}
			var buf []byte
			select {
			case buf = <-buffers:
			case <-ctx.Done():
				return ctx.Err()
			}
			select {
			case requests <- struct{}{}:
			case <-ctx.Done():
				return ctx.Err()
			}
			ahead <- f // as many as there are buffers
			g.Go(func() error {
				defer func() { <-requests }()
				b, err := t.getPart(ctx, i, buf)
				if err != nil {
					return err
				}
				f.ready <- b
				return nil
			})
		}
		return nil
	})
	g.Go(func() error {
		for f := range ahead {
			select {
			case b := <-f.ready:
				if _, err := io.Discard.Write(b); err != nil {
					return err
				}
				buffers <- b
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	return g.Wait()
}

func (t *transfer) getPart(ctx context.Context, i int, buf []byte) ([]byte, error) {
	off, n := t.partAt(i)
	if buf == nil {
		buf = make([]byte, t.PartSize)
	}
	body, err := t.client.get(ctx, t.Bucket, t.Key, off, n)
	if err != nil {
		return nil, err
	}
	_, err = io.ReadFull(body, buf[:n])
	return buf[:n:cap(buf)], errors.Join(err, body.Close())
}

// create writes small objects, each after the one before.
func (t *transfer) create(ctx context.Context) error {
	src, err := os.Open(t.Source)
	if err != nil {
		return err
	}
	defer src.Close()
	b := make([]byte, t.Size)
	for i := range t.Count {
		if err := smallBody(src, i, b); err != nil {
			return err
		}
		if err := putBytes(ctx, t.client, t.Bucket, smallName(i), b); err != nil {
			return err
		}
	}
	return nil
}

// list pages through the bucket.
func (t *transfer) list(ctx context.Context) error {
	n := 0
	err := t.client.list(ctx, t.Bucket, func(string, int64) { n++ })
	if err == nil && n != t.Count {
		err = fmt.Errorf("listed %d objects of %d", n, t.Count)
	}
	return err
}
