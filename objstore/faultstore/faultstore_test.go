package faultstore_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/faultstore"
	"github.com/pailfs/pailfs/objstore/memstore"
	"github.com/pailfs/pailfs/objstore/storetest"
)

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) objstore.Store {
		s, _ := faultstore.Wrap(memstore.NewRenaming(memstore.Options{}))
		return s
	})
}

func section(s string) *io.SectionReader {
	return io.NewSectionReader(bytes.NewReader([]byte(s)), 0, int64(len(s)))
}

func wrapped(t *testing.T, body string) (objstore.Store, *faultstore.Faults) {
	t.Helper()
	s, f := faultstore.Wrap(memstore.New(memstore.Options{}))
	if _, err := s.Put(t.Context(), "dir/k", section(body), objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	f.Reset()
	return s, f
}

func TestSkipAndCount(t *testing.T) {
	s, f := wrapped(t, "x")
	f.Add(faultstore.Rule{Op: faultstore.Stat, Key: "dir/*", Skip: 1, Count: 2, Err: objstore.ErrThrottled})
	var got []bool
	for range 5 {
		_, err := s.Stat(t.Context(), "dir/k")
		if err != nil && !errors.Is(err, objstore.ErrThrottled) {
			t.Fatal(err)
		}
		got = append(got, err != nil)
	}
	if want := []bool{false, true, true, false, false}; !equal(got, want) {
		t.Errorf("failed %v, want %v", got, want)
	}
	if n := f.Count(faultstore.Stat, "dir/*"); n != 5 {
		t.Errorf("%d calls counted", n)
	}
	if n := f.Count(faultstore.Get, ""); n != 0 {
		t.Errorf("%d gets counted", n)
	}
}

func equal(a, b []bool) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return len(a) == len(b)
}

func TestPattern(t *testing.T) {
	for _, c := range []struct {
		pattern, key string
		want         bool
	}{
		{"", "any/thing", true}, {"*", "any/thing", true}, {"a", "a", true}, {"a", "ab", false},
		{"a*", "a/b/c", true}, {"*c", "a/b/c", true}, {"a*c", "a/b/c", true}, {"a*b*c", "a/b/c", true},
		{"a*x*c", "a/b/c", false}, {"ab*b", "ab", false}, {"*.gz", "x.gz.tmp", false},
	} {
		s, f := faultstore.Wrap(memstore.New(memstore.Options{}))
		f.Add(faultstore.Rule{Op: faultstore.Delete, Key: c.pattern, Err: objstore.ErrPermission})
		err := s.Delete(t.Context(), c.key, objstore.Cond{})
		if got := errors.Is(err, objstore.ErrPermission); got != c.want {
			t.Errorf("%q on %q: %v", c.pattern, c.key, err)
		}
	}
}

func TestErrorsHaveOneKind(t *testing.T) {
	s, f := wrapped(t, "x")
	for _, c := range []struct{ err, kind error }{
		{objstore.ErrQuota, objstore.ErrQuota},
		{errors.New("odd"), objstore.ErrOther},
		{context.DeadlineExceeded, objstore.ErrTransient},
		{&objstore.Error{Op: "put", Key: "z", Kind: objstore.ErrArchived}, objstore.ErrArchived},
	} {
		remove := f.Add(faultstore.Rule{Err: c.err})
		_, err := s.List(t.Context(), objstore.ListRequest{})
		if e := (*objstore.Error)(nil); !errors.As(err, &e) || e.Kind != c.kind {
			t.Errorf("%v became %v", c.err, err)
		}
		remove()
	}
	if _, err := s.List(t.Context(), objstore.ListRequest{}); err != nil {
		t.Errorf("after the rules were removed: %v", err)
	}
}

func TestDoneButReportedAsFailed(t *testing.T) {
	s, f := wrapped(t, "old")
	f.Add(faultstore.Rule{Op: faultstore.Commit, Done: true, Err: objstore.ErrTransient})
	u, err := s.NewUpload(t.Context(), "dir/k", objstore.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := u.PutPart(t.Context(), 1, section("new bytes")); err != nil {
		t.Fatal(err)
	}
	if o, err := u.Commit(t.Context(), 1); !errors.Is(err, objstore.ErrTransient) || o.Version != "" {
		t.Errorf("commit: %+v, %v", o, err)
	}
	if o, err := s.Stat(t.Context(), "dir/k"); err != nil || o.Size != 9 {
		t.Errorf("stat: %+v, %v: it did not happen", o, err)
	}
	if calls := f.Calls(); len(calls) != 4 || calls[1] != (faultstore.Call{Op: faultstore.Part, Key: "dir/k", Part: 1, Size: 9}) {
		t.Errorf("calls: %+v", calls)
	}
}

func TestCut(t *testing.T) {
	for name, c := range map[string]struct {
		end, want error
	}{"broken": {nil, objstore.ErrTransient}, "short": {io.EOF, nil}, "scripted": {objstore.ErrChecksum, objstore.ErrChecksum}} {
		t.Run(name, func(t *testing.T) {
			s, f := wrapped(t, "0123456789")
			f.Add(faultstore.Rule{Op: faultstore.Get, Count: 1, Cut: faultstore.After(4), CutErr: c.end})
			for _, want := range []string{"0123", "0123456789"} {
				body, _, err := s.Get(t.Context(), "dir/k", objstore.All, objstore.Cond{})
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(body)
				if string(got) != want || want == "0123" && !errors.Is(err, c.want) {
					t.Errorf("read %q, %v", got, err)
				}
				body.Close()
			}
		})
	}
}

func TestGate(t *testing.T) {
	s, f := wrapped(t, "x")
	gate := faultstore.NewGate()
	f.Add(faultstore.Rule{Op: faultstore.Stat, Gate: gate})
	done := make(chan error, 2)
	ctx, cancel := context.WithCancel(t.Context())
	for _, ctx := range []context.Context{ctx, t.Context()} {
		go func() {
			_, err := s.Stat(ctx, "dir/k")
			done <- err
		}()
	}
	if err := gate.Await(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled at the gate: %v", err)
	}
	gate.Release()
	if err := <-done; err != nil {
		t.Errorf("released: %v", err)
	}
}

func TestDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := wrapped(t, "x")
		f.Add(faultstore.Rule{Op: faultstore.Stat, Delay: time.Hour})
		begun := time.Now()
		if _, err := s.Stat(t.Context(), "dir/k"); err != nil || time.Since(begun) != time.Hour {
			t.Errorf("after %v: %v", time.Since(begun), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := s.Stat(ctx, "dir/k"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("timeout: %v", err)
		}
	})
}
