package countstore_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/countstore"
	"github.com/pailfs/pailfs/objstore/faultstore"
	"github.com/pailfs/pailfs/objstore/memstore"
	"github.com/pailfs/pailfs/objstore/storetest"
)

func body(n int) *io.SectionReader {
	return io.NewSectionReader(bytes.NewReader(make([]byte, n)), 0, int64(n))
}

// A counted store keeps the whole contract.
func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) objstore.Store {
		s, c := countstore.Wrap(memstore.New(memstore.Options{}))
		t.Cleanup(func() {
			if left := c.Snapshot().Transfers; len(left) > 0 {
				t.Errorf("transfers without an end: %+v", left)
			}
		})
		return s
	})
}

func TestCalls(t *testing.T) {
	s, c := countstore.Wrap(memstore.New(memstore.Options{}))
	ctx := t.Context()
	if _, err := s.Put(ctx, "a", body(10), objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(ctx, "a", body(10), objstore.PutOptions{Cond: objstore.Cond{Absent: true}}); !errors.Is(err, objstore.ErrCond) {
		t.Fatal(err)
	}
	if _, err := s.Stat(ctx, "b"); !errors.Is(err, objstore.ErrNotFound) {
		t.Fatal(err)
	}
	r, _, err := s.Get(ctx, "a", objstore.Range{Off: 4, Len: -1}, objstore.Cond{})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, r); n != 6 || err != nil {
		t.Fatal(n, err)
	}
	if down := c.Snapshot().Transfers; len(down) != 1 || down[0].Direction != countstore.Down || down[0].Bytes != 6 || down[0].Size != 6 {
		t.Errorf("transfers while a body is open: %+v", down)
	}
	r.Close()
	r.Close()

	got := c.Snapshot()
	put, stat, get := got.Calls[countstore.Put], got.Calls[countstore.Stat], got.Calls[countstore.Get]
	if put.Calls != 2 || put.Errors["condition"] != 1 || put.Bytes != 10 || put.Buckets[len(put.Buckets)-1] != 2 {
		t.Errorf("put %+v", put)
	}
	if stat.Calls != 1 || stat.Errors["not-found"] != 1 || get.Calls != 1 || get.Bytes != 6 {
		t.Errorf("stat %+v, get %+v", stat, get)
	}
	if got.Sent != 10 || got.Received != 6 || got.Commits != 1 || got.LastCommit.IsZero() || got.Failing != 0 || len(got.Transfers) != 0 {
		t.Errorf("all %+v", got)
	}
}

// An upload is one transfer from its beginning to its end, however it ends.
func TestUploadIsATransfer(t *testing.T) {
	for _, end := range []string{"commit", "abort", "both"} {
		s, c := countstore.Wrap(memstore.New(memstore.Options{}))
		u, err := s.NewUpload(t.Context(), "k", objstore.PutOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := u.PutPart(t.Context(), 1, body(100)); err != nil {
			t.Fatal(err)
		}
		if up := c.Snapshot().Transfers; len(up) != 1 || up[0].Key != "k" || up[0].Direction != countstore.Up || up[0].Bytes != 100 {
			t.Errorf("transfers %+v", up)
		}
		if end != "abort" {
			if _, err := u.Commit(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
		}
		if end != "commit" {
			_ = u.Abort(t.Context())
		}
		if got := c.Snapshot(); len(got.Transfers) != 0 || (got.Commits == 1) != (end != "abort") {
			t.Errorf("after %s: %+v", end, got)
		}
	}
}

// What the store could not answer makes it failing, until it answers again. A
// key that is not there, or a cancelled call, says nothing of the store.
func TestFailing(t *testing.T) {
	inner, faults := faultstore.Wrap(memstore.New(memstore.Options{}))
	s, c := countstore.Wrap(inner)
	faults.Add(faultstore.Rule{Op: faultstore.Stat, Count: 2, Err: objstore.ErrTransient})
	for want := 1; want <= 2; want++ {
		_, err := s.Stat(t.Context(), "a")
		if got := c.Snapshot(); err == nil || got.Failing != want || got.LastError == nil || got.FailedAt.IsZero() {
			t.Errorf("call %d: %v, %+v", want, err, got)
		}
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Put(cancelled, "a", body(1), objstore.PutOptions{})
	if got := c.Snapshot(); err == nil || got.Failing != 2 || got.Calls[countstore.Put].Errors["cancelled"] != 1 {
		t.Errorf("after a cancelled call: %v, %+v", err, got)
	}
	if _, err := s.Stat(t.Context(), "a"); !errors.Is(err, objstore.ErrNotFound) || c.Snapshot().Failing != 0 {
		t.Errorf("after an answer: %v, %+v", err, c.Snapshot())
	}
}

// Objects of our own are no commits of anybody's file.
func TestPrivateKeysAreNoCommits(t *testing.T) {
	s, c := countstore.Wrap(memstore.New(memstore.Options{}))
	if _, err := s.Put(t.Context(), ".pailfs/tmp/x", body(1), objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := c.Snapshot(); got.Commits != 0 || !got.LastCommit.IsZero() {
		t.Errorf("%+v", got)
	}
}
