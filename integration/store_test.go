package integration

import (
	"context"
	"io/fs"
	"net/url"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/pailfs/pailfs/integration/servers"
	"github.com/pailfs/pailfs/objstore"
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

// temporaryFiles are the files in the directory of a store that are neither
// objects nor checksums of objects.
func temporaryFiles(root string) ([]string, error) {
	var found []string
	return found, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		return err
	})
}

func (p *place) store(t testing.TB) objstore.Store {
	t.Helper()
	t.Fatal("no store")
	return nil
}
