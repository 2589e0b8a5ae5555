package gcsstore

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pailfs/pailfs/integration/servers"
	"github.com/pailfs/pailfs/objstore"
)

func read(t *testing.T, s objstore.Store, key string) []byte {
	t.Helper()
	body, _, err := s.Get(t.Context(), key, objstore.All, objstore.Cond{})
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	got, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// random is n bytes that differ from place to place.
func random(n int) []byte {
	b := make([]byte, n)
	x := uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

func TestManyParts(t *testing.T) {
	s := open(t)
	whole := random(70 * 1000)
	u, err := s.NewUpload(t.Context(), "k", objstore.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for part := range slices.Chunk(whole, 1000) {
		n++
		if err := u.PutPart(t.Context(), n, io.NewSectionReader(bytes.NewReader(part), 0, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := u.Commit(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(read(t, s, "k"), whole) {
		t.Error("the object is not the parts in their order")
	}
}

// A patch: an object whose middle is new, of ranges that must be sent again.
func TestCopiedRanges(t *testing.T) {
	s := open(t)
	old := random(3 << 20)
	o, err := s.Put(t.Context(), "k", io.NewSectionReader(bytes.NewReader(old), 0, int64(len(old))), objstore.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	u, err := s.NewUpload(t.Context(), "k", objstore.PutOptions{Cond: objstore.Cond{Version: o.Version}})
	if err != nil {
		t.Fatal(err)
	}
	c := u.(objstore.PartCopier)
	if err := c.CopyPart(t.Context(), 1, "k", o.Version, objstore.Range{Off: 0, Len: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	if err := u.PutPart(t.Context(), 2, section("new")); err != nil {
		t.Fatal(err)
	}
	if err := c.CopyPart(t.Context(), 3, "k", o.Version, objstore.Range{Off: 2 << 20, Len: -1}); err != nil {
		t.Fatal(err)
	}
	for _, r := range []objstore.Range{{Off: -1, Len: 1}, {Off: 0, Len: 0}, {Off: 0, Len: 3<<20 + 1}, {Off: 3 << 20, Len: -1}} {
		if err := c.CopyPart(t.Context(), 4, "k", o.Version, r); !errors.Is(err, objstore.ErrRange) {
			t.Errorf("%+v: %v", r, err)
		}
	}
	if _, err := u.Commit(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	want := slices.Concat(old[:1<<20], []byte("new"), old[2<<20:])
	if !bytes.Equal(read(t, s, "k"), want) {
		t.Error("the object is not what it was patched to")
	}
}

// downloads counts the bytes that are read.
type downloads struct {
	base  http.RoundTripper
	bytes atomic.Int64
}

func (d *downloads) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := d.base.RoundTrip(req)
	if err == nil && req.URL.Query().Get("alt") == "media" {
		d.bytes.Add(resp.ContentLength)
	}
	return resp, err
}

// The kernel writes whole pages: what is appended to a file begins with the end
// of it. Only that is read and sent again.
func TestAppendByPages(t *testing.T) {
	ep := servers.GCS(t)
	transport := &http.Transport{}
	count := &downloads{base: transport}
	c := Config{Bucket: servers.GCSBucket(t, ep), Endpoint: ep.API()}.withDefaults()
	s, err := newStoreWith(t.Context(), c, &http.Client{Transport: count}, transport)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	old := random(2<<20 + 1000)
	page := int64(2 << 20)
	for name, tt := range map[string]struct {
		rewritten []byte // from page on
		most      int64  // bytes read by the commit
	}{
		"append":          {slices.Concat(old[page:], []byte("tail")), 3000},
		"nothing new":     {old[page:], 3000},
		"other end":       {append([]byte("x"), old[page+1:]...), 5 << 20},
		"cut off":         {old[page : page+10], 5 << 20},
		"another content": {random(5000), 5 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := s.Put(t.Context(), "k", io.NewSectionReader(bytes.NewReader(old), 0, int64(len(old))), objstore.PutOptions{})
			if err != nil {
				t.Fatal(err)
			}
			u, err := s.NewUpload(t.Context(), "k", objstore.PutOptions{Cond: objstore.Cond{Version: o.Version}})
			if err != nil {
				t.Fatal(err)
			}
			if err := u.(objstore.PartCopier).CopyPart(t.Context(), 1, "k", o.Version, objstore.Range{Len: page}); err != nil {
				t.Fatal(err)
			}
			tail := tt.rewritten
			if err := u.PutPart(t.Context(), 2, io.NewSectionReader(bytes.NewReader(tail), 0, int64(len(tail)))); err != nil {
				t.Fatal(err)
			}
			before := count.bytes.Load()
			if _, err := u.Commit(t.Context(), 2); err != nil {
				t.Fatal(err)
			}
			if n := count.bytes.Load() - before; n > tt.most {
				t.Errorf("%d bytes were read, at most %d were needed", n, tt.most)
			}
			if !bytes.Equal(read(t, s, "k"), slices.Concat(old[:page], tail)) {
				t.Error("the object is not what it was made")
			}
		})
	}
}

// A source that changes before the commit is a condition that does not hold.
func TestCopiedSourceChanges(t *testing.T) {
	s := open(t)
	o, err := s.Put(t.Context(), "src", section("old"), objstore.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []objstore.Range{objstore.All, {Off: 1, Len: 1}} {
		u, err := s.NewUpload(t.Context(), "k", objstore.PutOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := u.(objstore.PartCopier).CopyPart(t.Context(), 1, "src", o.Version, r); err != nil {
			t.Fatal(err)
		}
		if o, err = s.Put(t.Context(), "src", section("new"), objstore.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := u.Commit(t.Context(), 1); !errors.Is(err, objstore.ErrCond) {
			t.Errorf("commit: %v", err)
		}
		if err := u.Abort(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// open checks that nothing is left of these when the test ends.
func TestNothingIsLeft(t *testing.T) {
	s := open(t)
	begin := func(cond objstore.Cond) objstore.Upload {
		u, err := s.NewUpload(t.Context(), "k", objstore.PutOptions{Cond: cond})
		if err != nil {
			t.Fatal(err)
		}
		for n := range 40 {
			if err := u.PutPart(t.Context(), n+1, section("part")); err != nil {
				t.Fatal(err)
			}
		}
		return u
	}
	// A commit that fails at its last step, after one of composing.
	u := begin(objstore.Cond{Version: "7"})
	if _, err := u.Commit(t.Context(), 40); !errors.Is(err, objstore.ErrCond) {
		t.Errorf("commit: %v", err)
	}
	if err := u.Abort(t.Context()); err != nil {
		t.Error(err)
	}
	// A commit that is cancelled, at any request of it.
	u = begin(objstore.Cond{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := u.Commit(ctx, 40); !errors.Is(err, context.Canceled) {
		t.Errorf("commit: %v", err)
	}
	// An abort that is cancelled is tried again.
	if err := u.Abort(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("abort: %v", err)
	}
	if err := u.Abort(t.Context()); err != nil {
		t.Error(err)
	}
	// Parts that are replaced, and more than are committed.
	u = begin(objstore.Cond{})
	if err := u.PutPart(t.Context(), 3, section("again")); err != nil {
		t.Fatal(err)
	}
	if _, err := u.Commit(t.Context(), 20); err != nil {
		t.Error(err)
	}
	if err := u.PutPart(t.Context(), 1, section("late")); err == nil {
		t.Error("an upload that is over took a part")
	}
}

// One stream makes no object but its own.
func TestOneStreamWritesOneObject(t *testing.T) {
	ep := servers.GCS(t)
	bucket := servers.GCSBucket(t, ep)
	s, err := newStore(t.Context(), Config{Bucket: bucket, Endpoint: ep.API(), OneStream: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if !s.Caps().OrderedParts {
		t.Error("the Caps promise parts in any order")
	}
	u, err := s.NewUpload(t.Context(), "k", objstore.PutOptions{Cond: objstore.Cond{Absent: true}})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := u.(objstore.LateMetadata); ok {
		t.Error("a stream takes metadata when it has begun")
	}
	whole := random(chunk + 5<<20) // two requests
	n := 0
	for part := range slices.Chunk(whole, 5<<20) {
		n++
		if err := u.PutPart(t.Context(), n, io.NewSectionReader(bytes.NewReader(part), 0, int64(len(part)))); err != nil {
			t.Fatal(err)
		}
		if names := objectsIn(t, ep, bucket); len(names) != 0 {
			t.Errorf("before the commit the bucket holds %q", names)
		}
	}
	if err := u.PutPart(t.Context(), n+2, section("x")); !errors.Is(err, objstore.ErrUnsupported) {
		t.Errorf("a part out of order: %v", err)
	}
	if _, err := u.Commit(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(read(t, s, "k"), whole) {
		t.Error("the object is not the stream")
	}
	if names := objectsIn(t, ep, bucket); !slices.Equal(names, []string{"k"}) {
		t.Errorf("the bucket holds %q", names)
	}
}

// The emulator without its front keeps the conditions of an insert alone. The
// Caps say so, and what can be known by looking first is refused all the same.
func TestProbeOfAnEmulatorThatIgnoresConditions(t *testing.T) {
	ep := servers.GCS(t)
	s, err := newStore(t.Context(), Config{Bucket: servers.GCSBucket(t, ep), Endpoint: ep.Raw})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if err := s.Probe(t.Context(), "p/"); err != nil {
		t.Fatal(err)
	}
	if c := s.Caps(); c.CondPut || c.CondCopy || c.CondDelete {
		t.Errorf("the Caps promise conditions: %+v", c)
	}
	first, err := s.Put(t.Context(), "k", section("first"), objstore.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), "k", section("second"), objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	other := objstore.Cond{Version: first.Version}
	if err := s.Delete(t.Context(), "k", other); !errors.Is(err, objstore.ErrCond) {
		t.Errorf("delete: %v", err)
	}
	if _, err := s.Copy(t.Context(), "k", "k2", objstore.CopyOptions{Dst: other}); !errors.Is(err, objstore.ErrNotFound) {
		t.Errorf("copy of nothing: %v", err)
	}
	u, err := s.NewUpload(t.Context(), "k", objstore.PutOptions{Cond: other})
	if err != nil {
		t.Fatal(err)
	}
	if err := u.PutPart(t.Context(), 1, section("third")); err != nil {
		t.Fatal(err)
	}
	if _, err := u.Commit(t.Context(), 1); !errors.Is(err, objstore.ErrCond) {
		t.Errorf("commit: %v", err)
	}
	if err := u.Abort(t.Context()); err != nil {
		t.Error(err)
	}
	if _, _, err := s.Get(t.Context(), "k", objstore.All, other); !errors.Is(err, objstore.ErrCond) {
		t.Errorf("get: %v", err)
	}
	if got := read(t, s, "k"); string(got) != "second" {
		t.Errorf("the object is %q", got)
	}
}

// An object that is kept compressed is its bytes as stored.
func TestCompressedObject(t *testing.T) {
	s := open(t)
	packed := "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\x4a\xca\x4f\xa9\x04\x04\x00\x00\xff\xff\x5a\xb5\xdb\xdb\x04\x00\x00\x00"
	w := s.bucket().Object("k").NewWriter(t.Context())
	w.ContentEncoding = "gzip"
	if _, err := io.Copy(w, strings.NewReader(packed)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got := read(t, s, "k"); string(got) != packed {
		t.Errorf("read %q", got)
	}
}
