package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sync/errgroup"
)

// The buckets, one for each purpose, so that a mount sees its own objects only.
const (
	writeBucket = "bench-write"
	readBucket  = "bench-read"
	listBucket  = "bench-list"
	treeBucket  = "bench-tree"
	tarBucket   = "bench-tar"
)

const bigName = "big"

func putBytes(ctx context.Context, c client, bucket, key string, b []byte) error {
	return c.put(ctx, bucket, key, io.NewSectionReader(bytes.NewReader(b), 0, int64(len(b))))
}

// empty removes every object of a bucket.
func empty(ctx context.Context, c client, bucket string) error {
	var keys []string
	if err := c.list(ctx, bucket, func(key string, _ int64) { keys = append(keys, key) }); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for _, key := range keys {
		g.Go(func() error { return c.remove(ctx, bucket, key) })
	}
	return g.Wait()
}

// errNotStored says that the bucket does not hold what was written, so far.
var errNotStored = errors.New("not in the bucket")

// hasSize wants an object of this size.
func hasSize(ctx context.Context, c client, bucket, key string, size int64) error {
	n, err := c.size(ctx, bucket, key)
	if err == nil && n != size {
		err = fmt.Errorf("%w: %d bytes of %d", errNotStored, n, size)
	}
	return err
}

// hasFiles wants exactly the small files.
func hasFiles(ctx context.Context, c client, bucket string, count int, size int64) error {
	n, odd := 0, ""
	err := c.list(ctx, bucket, func(key string, s int64) {
		if key != smallName(n) || s != size {
			odd = key
		}
		n++
	})
	if err != nil {
		return err
	}
	if n != count || odd != "" {
		return fmt.Errorf("%w: %d objects of %d, odd one %q", errNotStored, n, count, odd)
	}
	return nil
}

// sameBytes compares an object with a piece of the source.
func sameBytes(ctx context.Context, c client, bucket, key, source string, off, size int64) error {
	src, err := os.Open(source)
	if err != nil {
		return err
	}
	defer src.Close()
	out, err := c.get(ctx, bucket, key, 0, -1)
	if err != nil {
		return err
	}
	defer out.Close()
	got, want := make([]byte, 1<<20), make([]byte, 1<<20)
	var at int64
	for at < size {
		n := min(int64(len(got)), size-at)
		if _, err := io.ReadFull(out, got[:n]); err != nil {
			return fmt.Errorf("%s at %d: %w", key, at, err)
		}
		if _, err := src.ReadAt(want[:n], off+at); err != nil {
			return err
		}
		if !bytes.Equal(got[:n], want[:n]) {
			return fmt.Errorf("%s holds other bytes than were written, between %d and %d", key, at, at+n)
		}
		at += n
	}
	if n, _ := io.Copy(io.Discard, out); n > 0 {
		return fmt.Errorf("%s is %d bytes too long", key, n)
	}
	return nil
}

// warmObject reads an object once, so that the server has it in memory.
func warmObject(ctx context.Context, c client, bucket, key string) error {
	out, err := c.get(ctx, bucket, key, 0, -1)
	if err != nil {
		return err
	}
	defer out.Close()
	_, err = io.Copy(io.Discard, out)
	return err
}

// warmList lists a bucket once, for the same reason.
func warmList(ctx context.Context, c client, bucket string) error {
	return c.list(ctx, bucket, func(string, int64) {})
}
