package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"
)

// The buckets, one for each purpose, so that a mount sees its own objects only.
const (
	writeBucket = "bench-write"
	readBucket  = "bench-read"
	listBucket  = "bench-list"
)

const bigName = "big"

func putBytes(ctx context.Context, c *s3.Client, bucket, key string, b []byte, algorithm types.ChecksumAlgorithm) error {
	_, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(b),
		ChecksumAlgorithm: algorithm}, cheaply)
	return err
}

func listAll(ctx context.Context, c *s3.Client, bucket string, each func(types.Object)) error {
	pages := s3.NewListObjectsV2Paginator(c, &s3.ListObjectsV2Input{Bucket: &bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, o := range page.Contents {
			each(o)
		}
	}
	return nil
}

// empty removes every object of a bucket.
func empty(ctx context.Context, c *s3.Client, bucket string) error {
	var keys []string
	if err := listAll(ctx, c, bucket, func(o types.Object) { keys = append(keys, *o.Key) }); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for _, key := range keys {
		g.Go(func() error {
			_, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: &key})
			return err
		})
	}
	return g.Wait()
}

// errNotStored says that the bucket does not hold what was written, so far.
var errNotStored = errors.New("not in the bucket")

// hasSize wants an object of this size.
func hasSize(ctx context.Context, c *s3.Client, bucket, key string, size int64) error {
	out, err := c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: &key})
	var missing *types.NotFound
	switch {
	case errors.As(err, &missing):
		return errNotStored
	case err != nil:
		return err
	case aws.ToInt64(out.ContentLength) != size:
		return fmt.Errorf("%w: %d bytes of %d", errNotStored, aws.ToInt64(out.ContentLength), size)
	}
	return nil
}

// hasFiles wants exactly the small files.
func hasFiles(ctx context.Context, c *s3.Client, bucket string, count int, size int64) error {
	n, odd := 0, ""
	err := listAll(ctx, c, bucket, func(o types.Object) {
		if *o.Key != smallName(n) || aws.ToInt64(o.Size) != size {
			odd = *o.Key
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
func sameBytes(ctx context.Context, c *s3.Client, bucket, key, source string, off, size int64) error {
	src, err := os.Open(source)
	if err != nil {
		return err
	}
	defer src.Close()
	out, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return err
	}
	defer out.Body.Close()
	got, want := make([]byte, 1<<20), make([]byte, 1<<20)
	var at int64
	for at < size {
		n := min(int64(len(got)), size-at)
		if _, err := io.ReadFull(out.Body, got[:n]); err != nil {
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
	if n, _ := io.Copy(io.Discard, out.Body); n > 0 {
		return fmt.Errorf("%s is %d bytes too long", key, n)
	}
	return nil
}

// warmObject reads an object once, so that the server has it in memory.
func warmObject(ctx context.Context, c *s3.Client, bucket, key string) error {
	out, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return err
	}
	defer out.Body.Close()
	_, err = io.Copy(io.Discard, out.Body)
	return err
}
