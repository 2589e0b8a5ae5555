package objstore_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/faultstore"
	"github.com/pailfs/pailfs/objstore/memstore"
)

func section(s string) *io.SectionReader {
	return io.NewSectionReader(strings.NewReader(s), 0, int64(len(s)))
}

// The contract behind a prefix is tested by storetest for every driver; here is
// what only the wrapper itself promises.

func TestPrefixErrorsAreRelative(t *testing.T) {
	ctx := t.Context()
	outer, faults := faultstore.Wrap(memstore.New(memstore.Options{}))
	s := objstore.WithPrefix(outer, "pre/fix")
	wantKey := func(what string, err error, key string) {
		t.Helper()
		if e := (*objstore.Error)(nil); !errors.As(err, &e) || e.Key != key || strings.Contains(err.Error(), "pre/") {
			t.Errorf("%s: %v, want key %q", what, err, key)
		}
	}
	_, err := s.Stat(ctx, "a/b")
	wantKey("stat", err, "a/b")
	_, err = s.Copy(ctx, "dst", "src", objstore.CopyOptions{})
	wantKey("copy", err, "src")

	if _, err := s.Put(ctx, "k", section("0123456789"), objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := outer.Stat(ctx, "pre/fix/k"); err != nil {
		t.Error(err)
	}
	faults.Add(faultstore.Rule{Op: faultstore.Get, Cut: faultstore.After(3)})
	body, _, err := s.Get(ctx, "k", objstore.All, objstore.Cond{})
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	_, err = io.ReadAll(body)
	wantKey("read", err, "k")

	u, err := s.NewUpload(ctx, "u", objstore.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = u.Commit(ctx, 1)
	wantKey("commit", err, "u")
}

func TestPrefixMarkerOfItselfIsHidden(t *testing.T) {
	ctx := t.Context()
	outer := memstore.New(memstore.Options{})
	for _, key := range []string{"p/", "p/k", "q"} {
		if _, err := outer.Put(ctx, key, section(""), objstore.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for o, err := range objstore.ListAll(ctx, objstore.WithPrefix(outer, "p/"), objstore.ListRequest{Max: 1}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, o.Key)
	}
	if len(got) != 1 || got[0] != "k" {
		t.Errorf("listed %q", got)
	}
	if s := objstore.WithPrefix(outer, ""); s != objstore.Store(outer) {
		t.Errorf("the empty prefix is %T", s)
	}
}

// noCleaner is a store without any optional interface.
type noCleaner struct{ objstore.Store }

func TestWrappersKeepOptionalInterfaces(t *testing.T) {
	renaming := memstore.NewRenaming(memstore.Options{})
	for name, s := range map[string]objstore.Store{
		"all":        renaming,
		"cleaner":    memstore.New(memstore.Options{}),
		"none":       noCleaner{renaming},
		"copy only":  memstore.New(memstore.Options{NoLateMetadata: true}),
		"late only":  memstore.New(memstore.Options{NoCopyPart: true}),
		"bare parts": memstore.New(memstore.Options{NoCopyPart: true, NoLateMetadata: true}),
	} {
		faulty, _ := faultstore.Wrap(s)
		for wrapper, w := range map[string]objstore.Store{"prefix": objstore.WithPrefix(s, "p"), "fault": faulty} {
			if got, want := abilities(t, w), abilities(t, s); got != want {
				t.Errorf("%s behind %s: %+v, want %+v", name, wrapper, got, want)
			}
		}
	}
}

type able struct{ rename, clean, copyPart, late, sums bool }

func abilities(t *testing.T, s objstore.Store) (a able) {
	t.Helper()
	u, err := s.NewUpload(t.Context(), "k", objstore.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, a.rename = s.(objstore.Renamer)
	_, a.clean = s.(objstore.Cleaner)
	_, a.copyPart = u.(objstore.PartCopier)
	_, a.late = u.(objstore.LateMetadata)
	_, a.sums = u.(objstore.LateSHA256)
	return a
}

func TestListEndsAtTheFirstError(t *testing.T) {
	ctx := t.Context()
	s, faults := faultstore.Wrap(memstore.New(memstore.Options{}))
	for _, key := range []string{"a", "b", "c"} {
		if _, err := s.Put(ctx, key, section(""), objstore.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	faults.Add(faultstore.Rule{Op: faultstore.List, Skip: 1, Err: objstore.ErrThrottled})
	var keys []string
	var failed error
	for o, err := range objstore.ListAll(ctx, s, objstore.ListRequest{Max: 2}) {
		if failed != nil {
			t.Fatal("the listing went on after an error")
		}
		if failed = err; err == nil {
			keys = append(keys, o.Key)
		}
	}
	if len(keys) != 2 || !errors.Is(failed, objstore.ErrThrottled) {
		t.Errorf("listed %q, then %v", keys, failed)
	}
	faults.Reset()
	for range objstore.ListAll(ctx, s, objstore.ListRequest{Max: 1}) {
		break
	}
	if n := faults.Count(faultstore.List, ""); n != 1 {
		t.Errorf("%d pages read for one object", n)
	}
}
