package main

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"slices"

	"cloud.google.com/go/storage"
	"golang.org/x/sync/errgroup"
	"google.golang.org/api/iterator"
	"google.golang.org/api/option"

	"github.com/pailfs/pailfs/integration/servers"
)

// gcsStore is Cloud Storage: fake-gcs-server, and cloud.google.com/go/storage
// with its JSON API.
type gcsStore struct{}

// Where an upload goes on is in the answer that begins it.
func (gcsStore) namesItself() bool { return true }

func (gcsStore) start(public string) (access, servers.Own, error) {
	ep, own, err := servers.StartGCS(public)
	return access{Store: "gcs", Endpoint: ep.URL}, own, err
}

func (gcsStore) pailfs(a access, bucket string) (env, options []string, source string) {
	ep := servers.GCSEndpoint{URL: a.Endpoint}
	return ep.Env(), []string{"--endpoint", ep.API()}, "gs://" + bucket
}

func (gcsStore) client(a access, parallel int) (client, error) {
	// The SDK's own HTTP client asks for HTTP/2, of which one connection carries all.
	transport := &http.Transport{MaxIdleConnsPerHost: parallel, ReadBufferSize: bufferSize, WriteBufferSize: bufferSize, DisableCompression: true}
	c, err := storage.NewClient(context.Background(), option.WithHTTPClient(&http.Client{Transport: transport}), option.WithoutAuthentication(),
		option.WithEndpoint(a.Endpoint+"/storage/v1/"), storage.WithJSONReads())
	return gcsClient{c}, err
}

type gcsClient struct{ c *storage.Client }

func (c gcsClient) makeBucket(ctx context.Context, bucket string) error {
	return c.c.Bucket(bucket).Create(ctx, "bench", nil)
}

func (c gcsClient) put(ctx context.Context, bucket, key string, body *io.SectionReader) error {
	return c.write(ctx, bucket, key, body, 0)
}

// stream writes an object by one resumable upload, in chunks of 16 MiB: what
// the SDK does by itself.
func (c gcsClient) stream(ctx context.Context, bucket, key string, body *io.SectionReader) error {
	return c.write(ctx, bucket, key, body, 16<<20)
}

func (c gcsClient) write(ctx context.Context, bucket, key string, body *io.SectionReader, chunk int) error {
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	if _, err := io.Copy(sum, body); err != nil {
		return err
	}
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // what was not closed is not written
	w := c.c.Bucket(bucket).Object(key).NewWriter(ctx)
	w.ContentType, w.ChunkSize = "application/octet-stream", chunk
	w.CRC32C, w.SendCRC32C = sum.Sum32(), true
	if _, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{body}, make([]byte, 256<<10)); err != nil {
		return err
	}
	return w.Close()
}

func (c gcsClient) get(ctx context.Context, bucket, key string, off, n int64) (io.ReadCloser, error) {
	return c.c.Bucket(bucket).Object(key).NewRangeReader(ctx, off, n)
}

func (c gcsClient) size(ctx context.Context, bucket, key string) (int64, error) {
	a, err := c.c.Bucket(bucket).Object(key).Attrs(ctx)
	if errors.Is(err, storage.ErrObjectNotExist) {
		return 0, errNotStored
	}
	if err != nil {
		return 0, err
	}
	return a.Size, nil
}

func (c gcsClient) list(ctx context.Context, bucket string, each func(key string, size int64)) error {
	objects := c.c.Bucket(bucket).Objects(ctx, nil)
	for {
		a, err := objects.Next()
		if errors.Is(err, iterator.Done) {
			return nil
		}
		if err != nil {
			return err
		}
		each(a.Name, a.Size)
	}
}

func (c gcsClient) remove(ctx context.Context, bucket, key string) error {
	return c.c.Bucket(bucket).Object(key).Delete(ctx)
}

// upload writes the parts as objects and composes them, as parallel composite
// uploads do. The parts stay, until the bucket is emptied: nobody waits for their
// removal in pailfs either.
func (c gcsClient) upload(_ context.Context, bucket, key string, parts int) (upload, error) {
	return &gcsUpload{c: c, bucket: bucket, key: key, parts: parts}, nil
}

type gcsUpload struct {
	c           gcsClient
	bucket, key string
	parts       int
}

func (u *gcsUpload) name(of string, i int) string {
	return fmt.Sprintf("parts/%s-%s-%05d", u.key, of, i)
}

func (u *gcsUpload) part(ctx context.Context, i int, body *io.SectionReader) error {
	return u.c.put(ctx, u.bucket, u.name("part", i), body)
}

// maxSources is how many objects one compose takes
// (cloud.google.com/storage/docs/composite-objects).
const maxSources = 32

func (u *gcsUpload) commit(ctx context.Context) error {
	var names []string
	for i := range u.parts {
		names = append(names, u.name("part", i))
	}
	for level := 0; len(names) > maxSources; level++ {
		runs := slices.Collect(slices.Chunk(names, maxSources))
		names = make([]string, len(runs))
		g, ctx := errgroup.WithContext(ctx)
		for i, run := range runs {
			names[i] = u.name(fmt.Sprintf("level%d", level), i)
			g.Go(func() error { return u.compose(ctx, names[i], run) })
		}
		if err := g.Wait(); err != nil {
			return err
		}
	}
	return u.compose(ctx, u.key, names)
}

func (u *gcsUpload) compose(ctx context.Context, key string, names []string) error {
	bucket := u.c.c.Bucket(u.bucket)
	sources := make([]*storage.ObjectHandle, len(names))
	for i, name := range names {
		sources[i] = bucket.Object(name)
	}
	_, err := bucket.Object(key).ComposerFrom(sources...).Run(ctx)
	return err
}
