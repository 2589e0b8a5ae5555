package integration

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"io"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pailfs/pailfs/integration/servers"
	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/open"
	"github.com/pailfs/pailfs/objstore/storetest"
)

// TestCompatibles meets S3 servers that each speak S3 in a way of their own, with
// nothing but their endpoint given: the contract, one larger object, and a mount
// that does what backups do. docs/providers/s3.md has what comes out.
func TestCompatibles(t *testing.T) {
	t.Run("versitygw", func(t *testing.T) { // all else runs on it anyway
		t.Run("Large", func(t *testing.T) { large(t, openCompatible(t, servers.S3(t))) })
	})
	for _, name := range servers.Compatibles {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			slots <- struct{}{}
			defer func() { <-slots }()
			ep := servers.StartCompatible(t, name)
			storetest.Run(t, func(t *testing.T) objstore.Store { return openCompatible(t, ep) }, deviations[name]...)
			t.Run("Large", func(t *testing.T) { large(t, openCompatible(t, ep)) })
			t.Run("Mount", func(t *testing.T) { mountCompatible(t, ep) })
			if name == "minio" { // versitygw cannot take as many parts as 8 GiB has, the others keep all in memory
				t.Run("Bounded", func(t *testing.T) {
					p := compatible(t, ep)
					m := p.mount(t, "--create-bucket", "--memory=256M")
					bounded(t, p, m, size(t, 512))
					m.umount(t)
				})
			}
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

// bucketURL names a bucket that is not there yet.
func bucketURL(ep servers.Endpoint) (string, *s3Bucket) {
	b := &s3Bucket{endpoint: ep, name: strings.ToLower("test-" + rand.Text())}
	return "s3://" + b.name + "?endpoint=" + url.QueryEscape(ep.URL), b
}

func openCompatible(t *testing.T, ep servers.Endpoint) objstore.Store {
	t.Helper()
	source, _ := bucketURL(ep)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	source += "&access-key-id=" + ep.AccessKey + "&secret-access-key=" + ep.SecretKey
	s, err := open.Open(ctx, source, open.Options{Create: true})
	check(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

// large writes and reads an object of many parts, with its SHA-256 in a tag.
func large(t *testing.T, s objstore.Store) {
	const partSize = 8 << 20
	parts := size(t, 64) / 8
	part := func(n int) []byte {
		b := make([]byte, partSize)
		for i := range b {
			b[i] = byte(n * i >> 3)
		}
		return b
	}
	u, err := s.NewUpload(t.Context(), "large", objstore.PutOptions{
		Cond: objstore.Cond{Absent: true}, Metadata: map[string]string{objstore.MetaSHA256: objstore.SHA256Later},
	})
	check(t, err)
	want := sha256.New()
	g, ctx := errgroup.WithContext(t.Context())
	g.SetLimit(4)
	for n := 1; n <= parts; n++ {
		b := part(n)
		want.Write(b)
		g.Go(func() error { return u.PutPart(ctx, n, io.NewSectionReader(bytes.NewReader(b), 0, partSize)) })
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	u.(objstore.LateSHA256).SetSHA256(want.Sum(nil))
	o, err := u.Commit(t.Context(), parts)
	check(t, err)
	// Taken, or given up; never taken for the object, which is read below.
	there, err := s.Stat(t.Context(), "large")
	check(t, err)
	if sum := there.NotedSHA256(); sum != nil && !bytes.Equal(sum, want.Sum(nil)) || !bytes.Equal(sum, o.NotedSHA256()) {
		t.Errorf("the commit says %v, stat %v", o.Metadata, there.Metadata)
	}
	t.Logf("takes tags: %v", o.NotedSHA256() != nil)
	body, _, err := s.Get(t.Context(), "large", objstore.All, objstore.Cond{Version: o.Version})
	check(t, err)
	defer body.Close()
	got := sha256.New()
	n, err := io.Copy(got, body)
	if same := bytes.Equal(got.Sum(nil), want.Sum(nil)); err != nil || n != int64(parts)*partSize || !same {
		t.Errorf("%d bytes of %d, the same: %v, %v", n, parts*partSize, same, err)
	}
	if err := s.Delete(context.WithoutCancel(t.Context()), "large", objstore.Cond{}); err != nil {
		t.Error(err)
	}
}

func mountCompatible(t *testing.T, ep servers.Endpoint) {
	const script = `
mkdir -p dir/sub
echo small > dir/small
head -c 20M /dev/urandom > "$T/large"
cp "$T/large" dir/large
echo appended >> dir/large
printf changed | dd of=dir/large bs=1 seek=9000000 conv=notrunc status=none
mv dir/small dir/sub/renamed
cp dir/large dir/copy
mkdir empty
for i in $(seq 30); do echo $i > dir/sub/n$i; done
rm dir/sub/n1
`
	const checks = `
echo appended >> "$T/large"
printf changed | dd of="$T/large" bs=1 seek=9000000 conv=notrunc status=none
cmp "$T/large" dir/large
cmp "$T/large" dir/copy
is small "$(cat dir/sub/renamed)"
is "dir empty" "$(echo *)"
is "copy large sub" "$(cd dir; echo *)"
is 30 "$(ls dir/sub | wc -l)"
[ ! -e dir/small ] && [ ! -e dir/sub/n1 ] && [ -d empty ]
rm -r dir empty
is "" "$(ls)"
`
	p := compatible(t, ep)
	env := environ(tempDir(t))
	m := p.mount(t, "--create-bucket")
	shell{m.dir, env}.run(t, script)
	m.umount(t)
	m = p.mount(t)
	shell{m.dir, env}.run(t, checks)
	m.umount(t)
	p.leftovers(t)
}

// compatible is a bucket that is not there yet, to be mounted with the settings
// that pailfs finds by itself.
func compatible(t *testing.T, ep servers.Endpoint) *place {
	source, b := bucketURL(ep)
	return &place{kind: "s3", bucket: b, source: source, env: append(ep.Env(), "AWS_REGION="), state: tempDir(t)}
}
