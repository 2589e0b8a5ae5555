package storetest

import (
	"bytes"
	"io"

	"github.com/pailfs/pailfs/objstore"
)

var getTests = []test{
	{name: "Ranges", run: testRanges},
	{name: "BadRanges", run: testBadRanges},
	{name: "Version", run: testGetVersion},
	{name: "ReplacedWhileRead", run: testReplacedWhileRead},
}

func testRanges(f *fixture) {
	body := []byte("0123456789")
	whole := f.put("k", body, objstore.PutOptions{})
	for _, c := range []struct {
		r    objstore.Range
		want string
	}{
		{objstore.All, "0123456789"},
		{objstore.Range{Off: 0, Len: 1}, "0"},
		{objstore.Range{Off: 0, Len: 10}, "0123456789"},
		{objstore.Range{Off: 3, Len: 4}, "3456"},
		{objstore.Range{Off: 3, Len: -1}, "3456789"},
		{objstore.Range{Off: 9, Len: 1}, "9"},
		{objstore.Range{Off: 9, Len: -1}, "9"},
		{objstore.Range{Off: 8, Len: 100}, "89"},
		{objstore.Range{Off: 0, Len: 1 << 50}, "0123456789"},
		{objstore.Range{Off: 0, Len: 0}, ""},
		{objstore.Range{Off: 4, Len: 0}, ""},
	} {
		got, o := f.get("k", c.r)
		if string(got) != c.want {
			f.Errorf("%+v: %q, want %q", c.r, got, c.want)
		}
		f.wantObject("ranged get", o, "k", 10)
		if o.Version != whole.Version {
			f.Errorf("%+v: version %q, want %q", c.r, o.Version, whole.Version)
		}
	}
}

func testBadRanges(f *fixture) {
	f.put("k", []byte("0123456789"), objstore.PutOptions{})
	for _, r := range []objstore.Range{{Off: 10, Len: -1}, {Off: 10, Len: 1}, {Off: 11, Len: -1}, {Off: 1 << 40, Len: 5}} {
		body, _, err := f.s.Get(f.ctx, f.dir+"k", r, objstore.Cond{})
		if err == nil {
			body.Close()
		}
		f.wantKind("get beyond the end", err, objstore.ErrRange)
	}
	_, _, err := f.s.Get(f.ctx, f.dir+"none", objstore.Range{Off: 5, Len: 5}, objstore.Cond{})
	f.wantKind("ranged get of nothing", err, objstore.ErrNotFound)
}

func testGetVersion(f *fixture) {
	first := f.put("k", []byte("first"), objstore.PutOptions{})
	body, _, err := f.s.Get(f.ctx, f.dir+"k", objstore.Range{Off: 1, Len: 3}, objstore.Cond{Version: first.Version})
	f.must("get of the version", err)
	got, err := io.ReadAll(body)
	f.must("read", err)
	body.Close()
	if string(got) != "irs" {
		f.Errorf("got %q", got)
	}
	f.put("k", []byte("other"), objstore.PutOptions{})
	_, _, err = f.s.Get(f.ctx, f.dir+"k", objstore.All, objstore.Cond{Version: first.Version})
	f.wantKind("get of a replaced version", err, objstore.ErrCond)
	_, _, err = f.s.Get(f.ctx, f.dir+"none", objstore.All, objstore.Cond{Version: first.Version})
	f.wantKind("get of a version of nothing", err, objstore.ErrNotFound)
}

// A body is one version to its end, or an error; never a mix.
func testReplacedWhileRead(f *fixture) {
	n := min(f.caps.MaxPut, 4<<20)
	before, after := pattern(1, n), pattern(2, n)
	f.put("k", before, objstore.PutOptions{})
	body, _, err := f.s.Get(f.ctx, f.dir+"k", objstore.All, objstore.Cond{})
	f.must("get", err)
	defer body.Close()
	head := make([]byte, n/4)
	_, err = io.ReadFull(body, head)
	f.must("read", err)
	f.put("k", after, objstore.PutOptions{})
	rest, err := io.ReadAll(body)
	if got := append(head, rest...); err == nil && !bytes.Equal(got, before) {
		f.Error("the body is not the version it began as")
	}
	f.want("k", after)
	f.must("delete", f.s.Delete(f.ctx, f.dir+"k", objstore.Cond{}))
}
