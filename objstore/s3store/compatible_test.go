package s3store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/pailfs/pailfs/integration/servers"
	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/storetest"
)

// TestCompatibles runs the contract, with nothing but the endpoint given, at
// servers that speak S3 each in a way of its own, and writes and reads one
// larger object. docs/providers/s3.md has what comes out.
func TestCompatibles(t *testing.T) {
	t.Run("versitygw", func(t *testing.T) { // TestContract has the rest
		t.Run("Large", func(t *testing.T) { large(t, compatible(t, servers.S3(t))) })
	})
	for _, name := range servers.Compatibles {
		t.Run(name, func(t *testing.T) {
			ep := servers.StartCompatible(t, name)
			storetest.Run(t, func(t *testing.T) objstore.Store { return compatible(t, ep) }, deviations[name]...)
			t.Run("Large", func(t *testing.T) { large(t, compatible(t, ep)) })
		})
	}
}

// deviations are what no driver can make good. docs/providers/s3.md says what
// they mean for a mount.
var deviations = map[string][]string{
	// An object below the key of another is taken, and left out of listings.
	"minio": {"Keys/FileAndDirectory"},
	// What is replaced leaves its metadata behind; any size of part will do.
	"gofakes3": {"Object/Metadata", "Upload/Replace", "Upload/SmallFirst", "Copy/Copy", "Copy/Metadata", "Copy/Rewrite"},
	// Metadata without a value are dropped; listings are in the order of a
	// language, and pages of them leave keys out; small sources give no part.
	"fauxqs": {"Object/Metadata", "Upload/Metadata", "Copy/Metadata", "Copy/Rewrite", "Copy/PartOfNothing", "List/Order", "List/Delim", "Keys/Odd"},
}

// compatible makes a bucket at a server, with default options, as mounting with
// --create-bucket does.
func compatible(t *testing.T, ep servers.Endpoint) *Store {
	t.Helper()
	made, err := New(t.Context(), Config{
		Bucket: strings.ToLower("test-" + rand.Text()), Endpoint: ep.URL, AccessKey: ep.AccessKey, SecretKey: ep.SecretKey,
	})
	if err != nil {
		t.Fatal(err)
	}
	s := made.(*Store)
	t.Cleanup(func() { s.Close() })
	if err := s.Make(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Probe(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v, checksum %s, listed %v", *s.facts.Load(), *s.algorithm.Load(), s.listsAlgorithm.Load())
	return s
}

// large writes and reads an object of many parts: 64 MiB, or as many as
// PAILFS_TEST_LARGE says (`make soak`).
func large(t *testing.T, s *Store) {
	const partSize = 8 << 20
	parts := 8
	if v := os.Getenv("PAILFS_TEST_LARGE"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			t.Fatal(err)
		}
		parts = n / 8
	}
	part := func(n int) []byte {
		b := make([]byte, partSize)
		for i := range b {
			b[i] = byte(n * i >> 3)
		}
		return b
	}
	u, err := s.NewUpload(t.Context(), "large", objstore.PutOptions{Cond: objstore.Cond{Absent: true}})
	if err != nil {
		t.Fatal(err)
	}
	want := sha256.New()
	g, ctx := errgroup.WithContext(t.Context())
	g.SetLimit(4)
	for n := 1; n <= parts; n++ {
		b := part(n)
		want.Write(b)
		g.Go(func() error { return u.PutPart(ctx, n, section(string(b))) })
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	o, err := u.Commit(t.Context(), parts)
	if err != nil {
		t.Fatal(err)
	}
	body, _, err := s.Get(t.Context(), "large", objstore.All, objstore.Cond{Version: o.Version})
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	got := sha256.New()
	n, err := io.Copy(got, body)
	if err != nil || n != int64(parts)*partSize || fmt.Sprint(got.Sum(nil)) != fmt.Sprint(want.Sum(nil)) {
		t.Errorf("%d bytes of %d, the same: %v, %v", n, parts*partSize, fmt.Sprint(got.Sum(nil)) == fmt.Sprint(want.Sum(nil)), err)
	}
	if err := s.Delete(context.WithoutCancel(t.Context()), "large", objstore.Cond{}); err != nil {
		t.Error(err)
	}
}
