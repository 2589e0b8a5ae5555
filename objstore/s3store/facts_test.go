package s3store

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"io"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/pailfs/pailfs/integration/servers"
	"github.com/pailfs/pailfs/objstore"
)

func section(s string) *io.SectionReader {
	return io.NewSectionReader(strings.NewReader(s), 0, int64(len(s)))
}

// putForeign writes an object as a program does that uses no checksum.
func putForeign(t *testing.T, s *Store, key string) {
	t.Helper()
	_, err := servers.S3(t).Client().PutObject(t.Context(),
		&s3.PutObjectInput{Bucket: &s.cfg.Bucket, Key: aws.String(key), Body: strings.NewReader("foreign")},
		func(o *s3.Options) { o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired })
	if err != nil {
		t.Fatal(err)
	}
}

func listed(t *testing.T, s *Store) map[string]objstore.Object {
	t.Helper()
	found := map[string]objstore.Object{}
	for o, err := range objstore.ListAll(t.Context(), s, objstore.ListRequest{}) {
		if err != nil {
			t.Fatal(err)
		}
		found[o.Key] = o
	}
	return found
}

// TestListingTellsWhoWrote checks that a listing clears the objects of others of
// any metadata of ours, and none that we wrote, in whatever way.
func TestListingTellsWhoWrote(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	mine := map[string]string{"mode": "33188"}
	var errs []error
	check := func(_ objstore.Object, err error) { errs = append(errs, err) }

	for _, key := range []string{"foreign", "rewritten", "copied"} {
		putForeign(t, s, key)
	}
	check(s.Put(ctx, "put", section("x"), objstore.PutOptions{Metadata: mine}))
	check(s.Put(ctx, "dir/", section(""), objstore.PutOptions{Metadata: mine}))
	u, err := s.NewUpload(ctx, "uploaded", objstore.PutOptions{Metadata: mine})
	if err != nil {
		t.Fatal(err)
	}
	errs = append(errs, u.PutPart(ctx, 1, section("x")))
	check(u.Commit(ctx, 1))
	check(s.Copy(ctx, "rewritten", "rewritten", objstore.CopyOptions{Metadata: mine}))
	check(s.Copy(ctx, "copy", "copied", objstore.CopyOptions{Metadata: mine}))
	check(s.Copy(ctx, "copy-if-absent", "copied", objstore.CopyOptions{Metadata: mine, Dst: objstore.Cond{Absent: true}}))
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}

	for key, o := range listed(t, s) {
		foreign := key == "foreign" || key == "copied"
		if o.MetadataKnown != foreign {
			t.Errorf("%s: metadata known is %v, want %v", key, o.MetadataKnown, foreign)
		}
		got, err := s.Stat(ctx, key)
		if err != nil {
			t.Fatal(err)
		}
		if has := got.Metadata["mode"] != ""; has == foreign {
			t.Errorf("%s: metadata %q", key, got.Metadata)
		}
		if got.Version != o.Version || got.StorageClass != o.StorageClass || got.Size != o.Size {
			t.Errorf("%s: the listing says %+v, stat says %+v", key, o, got)
		}
	}
}

func TestListingOfMD5StoreClearsNothing(t *testing.T) {
	s := open(t, func(c *Config) { c.Checksum = ChecksumMD5 })
	putForeign(t, s, "foreign")
	if o := listed(t, s)["foreign"]; o.Key == "" || o.MetadataKnown {
		t.Errorf("%+v", o)
	}
}

// TestUpload sends parts of real size side by side and copies ranges of them.
func TestUpload(t *testing.T) {
	for _, algorithm := range []Checksum{ChecksumAuto, ChecksumMD5, ChecksumNone} {
		t.Run(string(algorithm), func(t *testing.T) {
			s := open(t, func(c *Config) { c.Checksum = algorithm })
			ctx := t.Context()
			content := bytes.Repeat([]byte("0123456789abcdef"), 11*mibInt/16)
			at := func(off, n int) *io.SectionReader {
				return io.NewSectionReader(bytes.NewReader(content), int64(off), int64(n))
			}
			u, err := s.NewUpload(ctx, "k", objstore.PutOptions{Metadata: map[string]string{"mtime": "1"}})
			if err != nil {
				t.Fatal(err)
			}
			sent := make(chan error)
			for i, n := range []int{5 * mibInt, 5 * mibInt, mibInt} {
				go func() { sent <- u.PutPart(ctx, i+1, at(i*5*mibInt, n)) }()
			}
			for range 3 {
				if err := <-sent; err != nil {
					t.Fatal(err)
				}
			}
			o, err := u.Commit(ctx, 3)
			if err != nil {
				t.Fatal(err)
			}

			v, err := s.NewUpload(ctx, "k", objstore.PutOptions{Cond: objstore.Cond{Version: o.Version}})
			if err != nil {
				t.Fatal(err)
			}
			if err := v.(objstore.PartCopier).CopyPart(ctx, 1, "k", o.Version, objstore.Range{Len: 6 << 20}); err != nil {
				t.Fatal(err)
			}
			if err := v.PutPart(ctx, 2, section("tail")); err != nil {
				t.Fatal(err)
			}
			if _, err := v.Commit(ctx, 2); err != nil {
				t.Fatal(err)
			}
			body, _, err := s.Get(ctx, "k", objstore.All, objstore.Cond{})
			if err != nil {
				t.Fatal(err)
			}
			defer body.Close()
			got, err := io.ReadAll(body)
			if err != nil {
				t.Fatal(err)
			}
			if want := append(content[:6<<20:6<<20], "tail"...); !bytes.Equal(got, want) {
				t.Errorf("%d bytes, md5 %s; want %d bytes", len(got), sum(got), len(want))
			}
		})
	}
}

const mibInt = 1 << 20

func sum(b []byte) string {
	s := md5.Sum(b)
	return hex.EncodeToString(s[:])
}

func TestProbeLeavesNothing(t *testing.T) {
	s := open(t)
	if found := listed(t, s); len(found) != 0 {
		t.Errorf("left behind: %v", found)
	}
	c := s.Caps()
	if !c.CondPut || !c.CondCopy || !c.CondDelete || !c.SortedList {
		t.Errorf("%+v", c)
	}
}

func TestMetadataValues(t *testing.T) {
	s := open(t)
	want := map[string]string{
		"plain": "a b", "space": " x ", "umlaut": "Grüße", "bytes": "\xff\xfe", "newline": "a\nb",
		"word": "=?UTF-8?Q?x?=", "empty": "", "long": strings.Repeat("ü", 300),
	}
	if _, err := s.Put(t.Context(), "k", section("x"), objstore.PutOptions{Metadata: want}); err != nil {
		t.Fatal(err)
	}
	o, err := s.Stat(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range want {
		if got, ok := o.Metadata[k]; got != v || !ok && v != "" {
			t.Errorf("%s: %q, want %q", k, got, v)
		}
	}
}
