package integration

import (
	"context"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/pailfs/pailfs/integration/servers"
	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/gcsstore"
	"github.com/pailfs/pailfs/objstore/open"
	"github.com/pailfs/pailfs/objstore/s3store"
)

// s3Bucket is a bucket of the test server, looked at without pailfs.
type s3Bucket struct {
	endpoint servers.Endpoint
	name     string
}

// source is the URL of the bucket for pailfs, at the server or a proxy of it.
func (b *s3Bucket) source(endpoint string) string {
	return "s3://" + b.name + "?" + url.Values{"endpoint": {endpoint}, "region": {b.endpoint.Region}, "path-style": {"true"}}.Encode()
}

func (b *s3Bucket) uploads(ctx context.Context) ([]string, error) {
	out, err := b.endpoint.Client().ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: &b.name})
	if err != nil {
		return nil, err
	}
	var found []string
	for _, u := range out.Uploads {
		found = append(found, aws.ToString(u.Key)+" "+aws.ToString(u.UploadId))
	}
	return found, nil
}

// cloudUploads are the temporary objects of uploads at Cloud Storage. Blocks that
// wait at Azure are none: no request drops them.
func (p *place) cloudUploads(ctx context.Context) ([]string, error) {
	keys, err := p.cloud(ctx)
	return slices.DeleteFunc(keys, func(key string) bool { return !strings.HasPrefix(key, gcsstore.DefaultPrivate) }), err
}

// temporaryFiles are the files that a directory's store has not finished.
func temporaryFiles(root string) ([]string, error) {
	return filepath.Glob(filepath.Join(root, ".pailfs-store", "temp", "*"))
}

// store opens the bucket itself, as any program that knows the store would.
func (p *place) store(t testing.TB) objstore.Store {
	t.Helper()
	p.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if p.kind != "s3" {
			p.opened, p.openErr = open.Open(ctx, p.source, open.Options{})
			return
		}
		pathStyle := true
		p.opened, p.openErr = s3store.New(ctx, s3store.Config{
			Bucket: p.bucket.name, Region: p.bucket.endpoint.Region, Endpoint: p.bucket.endpoint.URL, PathStyle: &pathStyle,
			AccessKey: p.bucket.endpoint.AccessKey, SecretKey: p.bucket.endpoint.SecretKey,
		})
	})
	if p.openErr != nil {
		t.Fatal(p.openErr)
	}
	return p.opened
}
