package open

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/pailfs/pailfs/integration/servers"
	"github.com/pailfs/pailfs/objstore"
)

func TestMain(m *testing.M) {
	os.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	os.Exit(servers.Main(m))
}

// roundTrip writes and reads through the store of a URL.
func roundTrip(t *testing.T, url string) {
	t.Helper()
	ctx := t.Context()
	s, err := Open(ctx, url, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := Check(ctx, s); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(ctx, "k", io.NewSectionReader(strings.NewReader("body"), 0, 4), objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	body, _, err := s.Get(ctx, "k", objstore.All, objstore.Cond{})
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if got, err := io.ReadAll(body); string(got) != "body" || err != nil {
		t.Fatalf("%q, %v", got, err)
	}
}

func TestOpenDirectory(t *testing.T) {
	dir := t.TempDir()
	roundTrip(t, "file://"+dir)
	if _, err := os.Stat(filepath.Join(dir, "k")); err != nil {
		t.Error(err)
	}
	_, err := Open(t.Context(), "file://"+dir+"/missing", Options{})
	if !errors.Is(err, objstore.ErrNotFound) {
		t.Errorf("a missing directory: %v", err)
	}
}

func TestOpenS3(t *testing.T) {
	ep := servers.S3(t)
	ep.Setenv(t)
	query := "?endpoint=" + url.QueryEscape(ep.URL) + "&region=" + ep.Region
	for _, scheme := range []string{"s3", "minio", "b2"} {
		t.Run(scheme, func(t *testing.T) {
			bucket := servers.Bucket(t, ep)
			roundTrip(t, scheme+"://"+bucket+"/some/prefix"+query)
			out, err := ep.Client().ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &bucket})
			if err != nil {
				t.Fatal(err)
			}
			if len(out.Contents) != 1 || aws.ToString(out.Contents[0].Key) != "some/prefix/k" {
				t.Errorf("the bucket holds %v", out.Contents)
			}
		})
	}
}

// TestCheck tells the reasons apart for which a bucket cannot be used, with and
// without the probe that a writer makes.
func TestCheck(t *testing.T) {
	ep := servers.S3(t)
	bucket := servers.Bucket(t, ep)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + closed.Addr().String()
	closed.Close()

	for _, tt := range []struct {
		name, endpoint, bucket string
		env                    [2]string
		kind                   error
		want                   string
	}{
		{"missing bucket", ep.URL, "no-such-bucket", [2]string{}, objstore.ErrNotFound, "create it"},
		{"wrong secret", ep.URL, bucket, [2]string{"AWS_SECRET_ACCESS_KEY", "wr0ng-s3cret"}, objstore.ErrPermission, "credentials"},
		{"unknown key", ep.URL, bucket, [2]string{"AWS_ACCESS_KEY_ID", "nobody"}, objstore.ErrPermission, "credentials"},
		{"no credentials", ep.URL, bucket, [2]string{"AWS_ACCESS_KEY_ID", ""}, objstore.ErrPermission, "credentials"},
		{"nobody listens", nobody, bucket, [2]string{}, objstore.ErrTransient, "does not answer"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ep.Setenv(t)
			if tt.env[0] != "" {
				t.Setenv(tt.env[0], tt.env[1])
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			source := "s3://" + tt.bucket + "?endpoint=" + url.QueryEscape(tt.endpoint) + "&region=" + ep.Region
			s, err := Open(ctx, source, Options{ReadOnly: true})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			errs := map[string]error{"check": Check(ctx, s)}
			_, errs["open to write"] = Open(ctx, source, Options{})
			for what, err := range errs {
				if !errors.Is(err, tt.kind) {
					t.Errorf("%s: %v, want %v", what, err, tt.kind)
					continue
				}
				text := err.Error()
				if !strings.Contains(text, tt.want) || strings.Contains(text, "\n") || len(text) > 500 {
					t.Errorf("%s: %q, want %q on one line", what, text, tt.want)
				}
				if strings.Contains(text, ep.SecretKey) || strings.Contains(text, "wr0ng") {
					t.Errorf("%s: a secret shows: %q", what, text)
				}
			}
		})
	}
}
