package retrystore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/faultstore"
	"github.com/pailfs/pailfs/objstore/memstore"
	"github.com/pailfs/pailfs/objstore/retrystore"
	"github.com/pailfs/pailfs/objstore/storetest"
)

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) objstore.Store {
		return retrystore.Wrap(memstore.NewRenaming(memstore.Options{}), retrystore.Options{})
	})
}

func text(s string) *io.SectionReader {
	return io.NewSectionReader(strings.NewReader(s), 0, int64(len(s)))
}

// on runs f on a store that tries for a minute, with faults below, in a time
// that passes at once.
func on(t *testing.T, f func(t *testing.T, s objstore.Store, faults *faultstore.Faults)) {
	synctest.Test(t, func(t *testing.T) {
		inner, faults := faultstore.Wrap(memstore.New(memstore.Options{}))
		s := retrystore.Wrap(inner, retrystore.Options{For: time.Minute})
		if _, err := s.Put(t.Context(), "k", text("old"), objstore.PutOptions{Metadata: map[string]string{"id": "0"}}); err != nil {
			t.Fatal(err)
		}
		faults.Reset()
		f(t, s, faults)
	})
}

// Every call is made again until the store is back.
func TestPassingFaults(t *testing.T) {
	for _, kind := range []error{objstore.ErrTransient, objstore.ErrThrottled, objstore.ErrChecksum} {
		on(t, func(t *testing.T, s objstore.Store, faults *faultstore.Faults) {
			ctx := t.Context()
			for _, op := range []faultstore.Op{faultstore.Stat, faultstore.Get, faultstore.Put, faultstore.Upload, faultstore.Part,
				faultstore.Commit, faultstore.Copy, faultstore.Delete, faultstore.List} {
				faults.Add(faultstore.Rule{Op: op, Count: 3, Err: kind})
			}
			_, err1 := s.Stat(ctx, "k")
			body, _, err2 := s.Get(ctx, "k", objstore.All, objstore.Cond{})
			if err2 == nil {
				body.Close()
			}
			_, err3 := s.Put(ctx, "p", text("x"), objstore.PutOptions{})
			_, err4 := s.Copy(ctx, "c", "p", objstore.CopyOptions{})
			_, err5 := s.List(ctx, objstore.ListRequest{})
			err6 := s.Delete(ctx, "c", objstore.Cond{})
			u, err7 := s.NewUpload(ctx, "u", objstore.PutOptions{})
			if err := errors.Join(err1, err2, err3, err4, err5, err6, err7); err != nil {
				t.Fatal(err)
			}
			if err := u.PutPart(ctx, 1, text("part")); err != nil {
				t.Error(err)
			}
			if _, err := u.Commit(ctx, 1); err != nil {
				t.Error(err)
			}
			if n := faults.Count(faultstore.Part, ""); n != 4 {
				t.Errorf("%d tries of a part, not 4", n)
			}
		})
	}
}

// Refused credentials are read again, once for all who were refused, until new
// ones are taken.
func TestRefusedCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner, faults := faultstore.Wrap(memstore.New(memstore.Options{}))
		var read atomic.Int32
		remove := faults.Add(faultstore.Rule{Err: errors.Join(objstore.ErrPermission, objstore.ErrCredentials)})
		begun := time.Now()
		s := retrystore.Wrap(inner, retrystore.Options{For: time.Minute, Renew: func(context.Context) error {
			if read.Add(1); time.Since(begun) < 10*time.Second {
				return errors.New("not yet")
			}
			remove()
			return nil
		}})
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				if _, err := s.Put(t.Context(), fmt.Sprint(i), text("x"), objstore.PutOptions{}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := read.Load(); n < 2 || n > 12 {
			t.Errorf("read %d times, in %v", n, time.Since(begun))
		}
		faults.Add(faultstore.Rule{Op: faultstore.Stat, Err: errors.Join(objstore.ErrPermission, objstore.ErrCredentials)})
		begun = time.Now()
		if _, err := s.Stat(t.Context(), "1"); !errors.Is(err, objstore.ErrPermission) || time.Since(begun) < time.Minute/2 {
			t.Errorf("for good: %v after %v", err, time.Since(begun))
		}
	})
}

// What does not pass is told at once, and a long outage when the time is over.
func TestEnd(t *testing.T) {
	on(t, func(t *testing.T, s objstore.Store, faults *faultstore.Faults) {
		remove := faults.Add(faultstore.Rule{Op: faultstore.Stat, Err: objstore.ErrPermission})
		if _, err := s.Stat(t.Context(), "k"); !errors.Is(err, objstore.ErrPermission) || faults.Count(faultstore.Stat, "") != 1 {
			t.Errorf("%v after %d tries", err, faults.Count(faultstore.Stat, ""))
		}
		remove()
		faults.Add(faultstore.Rule{Op: faultstore.Stat, Err: objstore.ErrTransient})
		begun := time.Now()
		if _, err := s.Stat(t.Context(), "k"); !errors.Is(err, objstore.ErrTransient) {
			t.Error(err)
		}
		if took := time.Since(begun); took < 45*time.Second || took > time.Minute {
			t.Errorf("gave up after %v", took)
		}
	})
}

// A call whose answer was lost has happened: its own trace is no conflict.
func TestLostAnswers(t *testing.T) {
	on(t, func(t *testing.T, s objstore.Store, faults *faultstore.Faults) {
		ctx := t.Context()
		lose := func(op faultstore.Op) {
			faults.Add(faultstore.Rule{Op: op, Count: 1, Done: true, Err: objstore.ErrTransient})
		}
		mine := map[string]string{"id": "1"}
		lose(faultstore.Put)
		o, err := s.Put(ctx, "new", text("mine"), objstore.PutOptions{Cond: objstore.Cond{Absent: true}, Metadata: mine})
		if err != nil || o.Size != 4 {
			t.Errorf("put: %v, %v", o, err)
		}
		lose(faultstore.Copy)
		if _, err := s.Copy(ctx, "copy", "new", objstore.CopyOptions{Src: o.Version, Dst: objstore.Cond{Absent: true}}); err != nil {
			t.Errorf("copy: %v", err)
		}
		lose(faultstore.Delete)
		if err := s.Delete(ctx, "new", objstore.Cond{Version: o.Version}); err != nil {
			t.Errorf("delete: %v", err)
		}
		// Somebody else's object is a conflict, though it looks alike.
		if _, err := s.Put(ctx, "k", text("new"), objstore.PutOptions{Cond: objstore.Cond{Absent: true}, Metadata: mine}); !errors.Is(err, objstore.ErrCond) {
			t.Errorf("put over another object: %v", err)
		}
		if _, err := s.Copy(ctx, "k", "copy", objstore.CopyOptions{Dst: objstore.Cond{Absent: true}}); !errors.Is(err, objstore.ErrCond) {
			t.Errorf("copy over another object: %v", err)
		}
	})
}

// Parts that must come in order cannot be sent again.
func TestOrderedParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner, faults := faultstore.Wrap(memstore.New(memstore.Options{Caps: func(c *objstore.Caps) { c.OrderedParts = true }}))
		s := retrystore.Wrap(inner, retrystore.Options{For: time.Minute})
		u, err := s.NewUpload(t.Context(), "u", objstore.PutOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer u.Abort(t.Context())
		faults.Add(faultstore.Rule{Op: faultstore.Part, Count: 1, Err: objstore.ErrTransient})
		if err := u.PutPart(t.Context(), 1, text("x")); !errors.Is(err, objstore.ErrTransient) {
			t.Errorf("got %v", err)
		}
	})
}
