package dirstore

import (
	"testing"

	"github.com/pailfs/pailfs/objstore"
)

func TestLayout(t *testing.T) {
	var l layout
	want := func(n int, size, off int64) {
		t.Helper()
		if got := l.offset(n, size); got != off {
			t.Errorf("part %d of %d bytes begins at %d, want %d", n, size, got, off)
		}
	}
	want(3, 10, 20) // nothing is known: all are taken to be alike
	l.set(3, 10)
	l.set(1, 8)
	want(2, 9, 8)
	want(4, 10, 28)
	l.set(2, 9)
	want(3, 10, 17)
	want(4, 5, 27)
	l.set(1, 100) // sent again with another size
	want(1, 100, 0)
	want(2, 9, 100)
	want(4, 5, 119)
	if l.front != 3 || l.end != 119 {
		t.Errorf("%+v", l)
	}
}

// Parts that come in order, or nearly, are written where they stay.
func TestPartsInOrderAreNotMoved(t *testing.T) {
	s := open(t, t.TempDir())
	up, err := s.NewUpload(t.Context(), "k", objstore.PutOptions{})
	check(t, err)
	defer up.Abort(t.Context())
	u := up.(*upload)
	for _, n := range []int{2, 1, 4, 3, 5, 1} {
		check(t, u.PutPart(t.Context(), n, section(make([]byte, 1000))))
	}
	check(t, u.PutPart(t.Context(), 6, section([]byte("end"))))
	if u.strays != nil {
		t.Error("a part went astray")
	}
	o, err := u.Commit(t.Context(), 6)
	if err != nil || o.Size != 5003 {
		t.Errorf("%+v, %v", o, err)
	}
}
