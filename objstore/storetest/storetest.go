// Package storetest is the contract of objstore.Store as a test suite.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/pailfs/pailfs/objstore"
)

// Run tests a driver bare and behind WithPrefix. Open returns an empty store
// and arranges its end with t.Cleanup; it is called once for each of the two.
// Except names tests that a server fails and no driver could help, as
// "List/Marker": the page of the provider says why.
func Run(t *testing.T, open func(t *testing.T) objstore.Store, except ...string) {
	t.Run("Bare", func(t *testing.T) {
		s := open(t)
		runAll(t, s, except, newOutcomes(t, s))
	})
	t.Run("Prefixed", func(t *testing.T) {
		outer := open(t)
		ctx := t.Context()
		// Neighbours of the prefix, which must not be seen nor touched.
		decoys := []string{"pre-", "pre.x", "pre/fiw", "pre/fix-", "pre/fix0", "pre0"}
		for _, key := range decoys {
			if _, err := outer.Put(ctx, key, section([]byte(key)), objstore.PutOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		inner := objstore.WithPrefix(outer, "pre/fix")
		for o, err := range objstore.ListAll(ctx, inner, objstore.ListRequest{}) {
			if err != nil {
				t.Fatal(err)
			}
			t.Errorf("a neighbour is listed: %q", o.Key)
		}
		runAll(t, inner, except, newOutcomes(t, outer))
		for _, key := range decoys {
			o, err := outer.Stat(ctx, key)
			if err != nil || o.Size != int64(len(key)) {
				t.Errorf("neighbour %q: %+v, %v", key, o, err)
			}
		}
	})
}

// RunMissing tests that a bucket which does not exist is ErrNotFound. Open
// returns a store of such a bucket.
func RunMissing(t *testing.T, open func(t *testing.T) objstore.Store) {
	f := &fixture{T: t, s: open(t), ctx: t.Context()}
	_, err := f.s.Stat(f.ctx, "k")
	f.wantKind("stat", err, objstore.ErrNotFound)
	_, _, err = f.s.Get(f.ctx, "k", objstore.All, objstore.Cond{})
	f.wantKind("get", err, objstore.ErrNotFound)
	_, err = f.s.Put(f.ctx, "k", section([]byte("x")), objstore.PutOptions{})
	f.wantKind("put", err, objstore.ErrNotFound)
	_, err = f.s.List(f.ctx, objstore.ListRequest{})
	f.wantKind("list", err, objstore.ErrNotFound)
}

func runAll(t *testing.T, s objstore.Store, except []string, out *outcomes) {
	for _, group := range []struct {
		name  string
		tests []test
	}{
		{"Object", objectTests}, {"Get", getTests}, {"Cond", condTests},
		{"List", listTests}, {"Upload", uploadTests}, {"Copy", copyTests},
		{"Keys", keyTests}, {"Cancel", cancelTests}, {"Concurrent", concurrentTests},
	} {
		t.Run(group.name, func(t *testing.T) {
			for i, test := range group.tests {
				name := group.name + "/" + test.name
				if test.needs.of != nil && !test.needs.of(s.Caps()) {
					t.Logf("%s: the Caps exclude it", test.name)
					out.add(name, true, test.needs.otherwise)
					continue
				}
				if slices.Contains(except, name) {
					t.Logf("%s: known to fail here", test.name)
					out.add(name, true, "known to fail")
					continue
				}
				f := &fixture{}
				ok := t.Run(test.name, func(t *testing.T) {
					*f = *newFixture(t, s, fmt.Sprintf("%s-%02d/", strings.ToLower(group.name), i))
					f.out, f.name = out, name
					test.run(f)
				})
				out.add(name, ok, f.lack)
			}
		})
	}
}

type test struct {
	name  string
	run   func(*fixture)
	needs need // zero: every store passes
}

// need is what a test wants of a store, and what to say of one without it.
type need struct {
	of        func(objstore.Caps) bool
	otherwise string
}

const tooLarge = "the limit is too large to be tried here: memstore has a small one"

// fixture is one test on a part of the store of its own.
type fixture struct {
	*testing.T
	s    objstore.Store
	ctx  context.Context
	caps objstore.Caps
	dir  string // prefix of every key of this test
	part int64  // size of a part that need not be the last

	out  *outcomes
	name string // of the case
	lack string // why the case had nothing to do; "" if it had
}

func newFixture(t *testing.T, s objstore.Store, dir string) *fixture {
	caps := s.Caps()
	return &fixture{T: t, s: s, ctx: t.Context(), caps: caps, dir: dir, part: max(caps.MinPart, 7)}
}

func section(b []byte) *io.SectionReader {
	return io.NewSectionReader(bytes.NewReader(b), 0, int64(len(b)))
}

// pattern is n bytes that differ from place to place and from seed to seed.
func pattern(seed byte, n int64) []byte {
	b := make([]byte, n)
	x := uint32(seed)*2654435761 + 1
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

// wantKind checks that err has exactly one kind, and which.
func (f *fixture) wantKind(what string, err, kind error) {
	f.Helper()
	if got := f.kind(what, err); got != kind {
		f.Errorf("%s: error %v, want %v", what, err, kind)
	}
}

// kind is the one kind of err; nil for nil.
func (f *fixture) kind(what string, err error) error {
	f.Helper()
	if err == nil {
		return nil
	}
	if e := (*objstore.Error)(nil); !errors.As(err, &e) {
		f.Errorf("%s: %T is no *objstore.Error: %v", what, err, err)
	}
	var kinds []error
	for _, k := range []error{
		objstore.ErrNotFound, objstore.ErrCond, objstore.ErrPermission, objstore.ErrRange,
		objstore.ErrTransient, objstore.ErrThrottled, objstore.ErrUnsupported, objstore.ErrArchived,
		objstore.ErrQuota, objstore.ErrChecksum, objstore.ErrOther,
	} {
		if errors.Is(err, k) {
			kinds = append(kinds, k)
		}
	}
	if len(kinds) != 1 {
		f.Errorf("%s: error has %d kinds %v: %v", what, len(kinds), kinds, err)
		return nil
	}
	return kinds[0]
}

func (f *fixture) must(what string, err error) {
	f.Helper()
	if err != nil {
		f.Fatalf("%s: %v", what, err)
	}
}

func (f *fixture) put(name string, body []byte, opt objstore.PutOptions) objstore.Object {
	f.Helper()
	o, err := f.s.Put(f.ctx, f.dir+name, section(body), opt)
	f.must("put "+name, err)
	f.wantObject("put "+name, o, name, int64(len(body)))
	return o
}

// putAny writes a body that may be too large for one Put.
func (f *fixture) putAny(name string, body []byte) objstore.Object {
	f.Helper()
	if int64(len(body)) <= f.caps.MaxPut {
		return f.put(name, body, objstore.PutOptions{})
	}
	u := f.upload(name, objstore.PutOptions{})
	n := 0
	for rest := body; len(rest) > 0; {
		n++
		p := rest[:min(int64(len(rest)), f.part)]
		f.must("part", u.PutPart(f.ctx, n, section(p)))
		rest = rest[len(p):]
	}
	o, err := u.Commit(f.ctx, n)
	f.must("commit", err)
	return o
}

// upload begins an upload and sees to it that none is left behind.
func (f *fixture) upload(name string, opt objstore.PutOptions) objstore.Upload {
	f.Helper()
	u, err := f.s.NewUpload(f.ctx, f.dir+name, opt)
	f.must("new upload "+name, err)
	f.Cleanup(func() {
		if err := u.Abort(context.WithoutCancel(f.ctx)); err != nil {
			f.Errorf("abort %s: %v", name, err)
		}
	})
	return u
}

// wantObject checks what every Object but a listed one has.
func (f *fixture) wantObject(what string, o objstore.Object, name string, size int64) {
	f.Helper()
	if o.Key != f.dir+name || o.Size != size || o.Version == "" || !o.MetadataKnown {
		f.Errorf("%s: %+v, want key %q, %d bytes, a version, metadata known", what, o, f.dir+name, size)
	}
}

// want checks content, by Get, and size, by Stat.
func (f *fixture) want(name string, body []byte) objstore.Object {
	f.Helper()
	o := f.stat(name)
	f.wantObject("stat "+name, o, name, int64(len(body)))
	if o.ModTime.IsZero() {
		f.Errorf("stat %s: no ModTime", name)
	}
	got, opened := f.get(name, objstore.All)
	if !bytes.Equal(got, body) {
		f.Errorf("get %s: %s, want %s", name, brief(got), brief(body))
	}
	f.wantObject("get "+name, opened, name, int64(len(body)))
	if opened.Version != o.Version {
		f.Errorf("get %s: version %q, stat says %q", name, opened.Version, o.Version)
	}
	return o
}

func brief(b []byte) string {
	if len(b) <= 40 {
		return fmt.Sprintf("%q", b)
	}
	return fmt.Sprintf("%d bytes %q...", len(b), b[:40])
}

func (f *fixture) stat(name string) objstore.Object {
	f.Helper()
	o, err := f.s.Stat(f.ctx, f.dir+name)
	f.must("stat "+name, err)
	return o
}

func (f *fixture) get(name string, r objstore.Range) ([]byte, objstore.Object) {
	f.Helper()
	body, o, err := f.s.Get(f.ctx, f.dir+name, r, objstore.Cond{})
	f.must("get "+name, err)
	got, err := io.ReadAll(body)
	f.must("read "+name, err)
	f.must("close body", body.Close())
	return got, o
}

// wantAbsent checks that nothing can be seen at the key, by any means.
func (f *fixture) wantAbsent(name string) {
	f.Helper()
	_, err := f.s.Stat(f.ctx, f.dir+name)
	f.wantKind("stat "+name, err, objstore.ErrNotFound)
	body, _, err := f.s.Get(f.ctx, f.dir+name, objstore.All, objstore.Cond{})
	if err == nil {
		body.Close()
	}
	f.wantKind("get "+name, err, objstore.ErrNotFound)
	if slices.Contains(f.list(""), name) {
		f.Errorf("%s is listed", name)
	}
}

// list gives the names below the fixture's dir that begin with prefix.
func (f *fixture) list(prefix string) []string {
	f.Helper()
	var names []string
	for o, err := range objstore.ListAll(f.ctx, f.s, objstore.ListRequest{Prefix: f.dir + prefix}) {
		f.must("list", err)
		names = append(names, strings.TrimPrefix(o.Key, f.dir))
	}
	return names
}

func (f *fixture) wantMetadata(what string, o objstore.Object, want map[string]string) {
	f.Helper()
	if !o.MetadataKnown || !maps.Equal(o.Metadata, want) {
		f.Errorf("%s: metadata %q (known %v), want %q", what, o.Metadata, o.MetadataKnown, want)
	}
}
