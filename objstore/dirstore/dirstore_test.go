package dirstore

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/storetest"
)

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) objstore.Store { return open(t, t.TempDir()) })
}

func open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func section(b []byte) *io.SectionReader {
	return io.NewSectionReader(bytes.NewReader(b), 0, int64(len(b)))
}

func put(t *testing.T, s *Store, key string, body []byte, opt objstore.PutOptions) objstore.Object {
	t.Helper()
	o, err := s.Put(t.Context(), key, section(body), opt)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// read gives a range of an object, and the error of its body.
func read(t *testing.T, s *Store, key string, r objstore.Range) ([]byte, error) {
	t.Helper()
	body, _, err := s.Get(t.Context(), key, r, objstore.Cond{})
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}

func wantKeys(t *testing.T, s *Store, want ...string) {
	t.Helper()
	var got []string
	for o, err := range objstore.ListAll(t.Context(), s, objstore.ListRequest{}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, o.Key)
	}
	if !slices.Equal(got, want) {
		t.Errorf("keys %q, want %q", got, want)
	}
}

func wantKind(t *testing.T, what string, err, kind error) {
	t.Helper()
	if e := (*objstore.Error)(nil); !errors.As(err, &e) || e.Kind != kind {
		t.Errorf("%s: %v, want %v", what, err, kind)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
