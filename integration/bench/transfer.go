package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"
)

// transfer is the raw SDK doing what the programs do through a mount, with
// nothing between it and the source: the ceiling.
type transfer struct {
	job
	client *s3.Client
}

func (j job) transfer() *transfer {
	return &transfer{job: j, client: newClient(j.Endpoint, j.Region,
		os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"), j.Parallel)}
}

// cheaply has the body of a request checked by one CRC32C instead of by the
// SHA-256 of its signature, at this end and at the other: the fastest way that
// still is checked, and the one that pailfs takes.
func cheaply(o *s3.Options) {
	o.APIOptions = append(o.APIOptions, v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)
}

// newClient makes a client that keeps as many connections as it has requests in
// flight, which the SDK does not do by itself beyond ten.
func newClient(endpoint, region, access, secret string, parallel int) *s3.Client {
	transport := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.MaxIdleConnsPerHost = parallel
		t.ReadBufferSize, t.WriteBufferSize = 64<<10, 64<<10
	})
	return s3.New(s3.Options{
		BaseEndpoint: aws.String(endpoint),
		Region:       region,
		UsePathStyle: true,
		Credentials:  credentials.NewStaticCredentialsProvider(access, secret, ""),
		HTTPClient:   transport,
	})
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
		_, err := t.client.PutObject(ctx, &s3.PutObjectInput{Bucket: &t.Bucket, Key: &t.Key,
			Body: io.NewSectionReader(src, 0, t.Size), ChecksumAlgorithm: types.ChecksumAlgorithmCrc32c}, cheaply)
		return err
	}
	up, err := t.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: &t.Bucket, Key: &t.Key, ChecksumAlgorithm: types.ChecksumAlgorithmCrc32c})
	if err != nil {
		return err
	}
	parts := make([]types.CompletedPart, t.parts())
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(t.Parallel)
	for i := range parts {
		g.Go(func() error {
			off, n := t.partAt(i)
			out, err := t.client.UploadPart(gctx, &s3.UploadPartInput{
				Bucket: &t.Bucket, Key: &t.Key, UploadId: up.UploadId,
				PartNumber: aws.Int32(int32(i + 1)), Body: io.NewSectionReader(src, off, n),
				ChecksumAlgorithm: types.ChecksumAlgorithmCrc32c,
			}, cheaply)
			if err != nil {
				return err
			}
			parts[i] = types.CompletedPart{ETag: out.ETag, PartNumber: aws.Int32(int32(i + 1)), ChecksumCRC32C: out.ChecksumCRC32C}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	_, err = t.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &t.Bucket, Key: &t.Key, UploadId: up.UploadId,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	})
	return err
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
	out, err := t.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &t.Bucket, Key: &t.Key,
		Range: aws.String(fmt.Sprintf("bytes=%d-%d", off, off+n-1))})
	if err != nil {
		return nil, err
	}
	defer out.Body.Close()
	_, err = io.ReadFull(out.Body, buf[:n])
	return buf[:n:cap(buf)], err
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
		if err := putBytes(ctx, t.client, t.Bucket, smallName(i), b, types.ChecksumAlgorithmCrc32c); err != nil {
			return err
		}
	}
	return nil
}

// list pages through the bucket.
func (t *transfer) list(ctx context.Context) error {
	n := 0
	err := listAll(ctx, t.client, t.Bucket, func(types.Object) { n++ })
	if err == nil && n != t.Count {
		err = fmt.Errorf("listed %d objects of %d", n, t.Count)
	}
	return err
}
