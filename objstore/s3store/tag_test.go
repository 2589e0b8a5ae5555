package s3store

import (
	"bytes"
	"crypto/sha256"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/pailfs/pailfs/objstore"
)

// uploadNoted makes an object of two parts whose sum is told at the end.
func uploadNoted(t *testing.T, s *Store, key string) (o objstore.Object, sum []byte) {
	t.Helper()
	u, err := s.NewUpload(t.Context(), key, objstore.PutOptions{Metadata: map[string]string{
		"mode": "1", objstore.MetaSHA256: objstore.SHA256Later,
	}})
	if err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	for n, size := range []int64{minPart, 7} {
		part := bytes.Repeat([]byte{byte('a' + n)}, int(size))
		h.Write(part)
		if err := u.PutPart(t.Context(), n+1, io.NewSectionReader(bytes.NewReader(part), 0, size)); err != nil {
			t.Fatal(err)
		}
	}
	sum = h.Sum(nil)
	u.(objstore.LateSHA256).SetSHA256(sum)
	if o, err = u.Commit(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	return o, sum
}

func stat(t *testing.T, s *Store, key string) objstore.Object {
	t.Helper()
	o, err := s.Stat(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// The sum of an object in parts is in a tag, and shows in its metadata; a copy has
// it there for good.
func TestSHA256InATag(t *testing.T) {
	s := open(t)
	o, sum := uploadNoted(t, s, "k")
	if !bytes.Equal(o.NotedSHA256(), sum) {
		t.Errorf("the commit says %v", o.Metadata)
	}
	if o := stat(t, s, "k"); !bytes.Equal(o.NotedSHA256(), sum) || o.Metadata["mode"] != "1" {
		t.Errorf("stat says %v", o.Metadata)
	}
	for _, key := range []string{"renamed", "again"} {
		c, err := s.Copy(t.Context(), key, o.Key, objstore.CopyOptions{Src: o.Version})
		if err != nil {
			t.Fatal(err)
		}
		there := stat(t, s, key)
		if !bytes.Equal(c.NotedSHA256(), sum) || !maps.Equal(c.Metadata, there.Metadata) {
			t.Errorf("the copy says %v, stat %v", c.Metadata, there.Metadata)
		}
		o = c
	}
	for key := range listed(t, s) {
		if strings.Contains(key, "probe") {
			t.Errorf("%s is left", key)
		}
	}
}

// A tag that came to be at another object than it was meant for is not believed.
func TestSHA256OfAnotherObject(t *testing.T) {
	s := open(t)
	_, sum := uploadNoted(t, s, "k")
	theirs, err := s.Put(t.Context(), "k", section("theirs"), objstore.PutOptions{Metadata: map[string]string{objstore.MetaSHA256: objstore.SHA256Later}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.putTag(t.Context(), "k", "of-the-one-before", sum); err != nil {
		t.Fatal(err)
	}
	if o := stat(t, s, "k"); o.Version != theirs.Version || o.NotedSHA256() != nil {
		t.Errorf("%+v", o)
	}
	c, err := s.Copy(t.Context(), "c", "k", objstore.CopyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if there := stat(t, s, "c"); !maps.Equal(c.Metadata, theirs.Metadata) || there.NotedSHA256() != nil {
		t.Errorf("of %v the copy has %v, stat says %v", theirs.Metadata, c.Metadata, there.Metadata)
	}
}

// A store that refuses tags, or says that it takes them and does not, costs an
// object nothing but the sum.
func TestStoreWithoutTags(t *testing.T) {
	for name, a := range map[string]*adversary{
		"refuses": {refuse: func(r *http.Request) (int, string, string) {
			if r.URL.Query().Has("tagging") {
				return http.StatusNotImplemented, "NotImplemented", "no tags here"
			}
			return 0, "", ""
		}},
		"pretends": {},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			a.between(s)
			if name == "pretends" {
				s.client = s3.New(s.client.Options(), func(o *s3.Options) { o.HTTPClient = deafToQueries{o.HTTPClient} })
			}
			for range 2 {
				o, _ := uploadNoted(t, s, "k")
				if now := stat(t, s, "k"); o.NotedSHA256() != nil || now.NotedSHA256() != nil || now.Size != minPart+7 || now.Version != o.Version {
					t.Errorf("committed %+v, there is %+v", o, now)
				}
			}
			n := 0
			for _, r := range a.requests {
				if r.URL.Query().Has("tagging") {
					n++
				}
			}
			if n > 1 {
				t.Errorf("the store was asked %d times", n)
			}
			if keys := listed(t, s); len(keys) != 1 {
				t.Errorf("there are %v", keys)
			}
		})
	}
}

// deafToQueries is a server that knows nothing of tags and does not say so.
type deafToQueries struct{ next s3.HTTPClient }

func (d deafToQueries) Do(r *http.Request) (*http.Response, error) {
	if !r.URL.Query().Has("tagging") {
		return d.next.Do(r)
	}
	return &http.Response{StatusCode: http.StatusOK, Status: "200 OK", Header: http.Header{}, Body: http.NoBody, Request: r}, nil
}
