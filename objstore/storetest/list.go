package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pailfs/pailfs/objstore"
)

var listTests = []test{
	{name: "Order", run: testListOrder},
	{name: "Delim", run: testListDelim},
	{name: "Marker", run: testListMarker},
	{name: "Pages", run: testListPages},
	{name: "PagesAreFull", run: testListPagesFull},
	{name: "NothingThere", run: testListNothing},
	{name: "Attributes", run: testListAttributes},
	{name: "FreshlyChanged", run: testListFresh},
}

// traps are names whose byte order is not the order of a walk through
// directories: "/" sorts between "." and "0".
var traps = []string{"a!", "a-", "a-x/y", "a.", "a/a", "a/b/c", "a/b-", "a/b.", "a/b0", "a0", "b", "ä/x"}

// putTraps puts them, and returns a filter of lists: not every store can hold a
// name that ends in a dot.
func (f *fixture) putTraps() (held func(names ...string) []string) {
	refused := map[string]bool{}
	for _, name := range traps {
		_, err := f.s.Put(f.ctx, f.dir+name, section([]byte(name)), objstore.PutOptions{})
		if strings.HasSuffix(name, ".") && errors.Is(err, objstore.ErrUnsupported) {
			refused[name] = true
			continue
		}
		f.must("put "+name, err)
	}
	return func(names ...string) []string {
		return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return refused[name] })
	}
}

// pages lists with a page size, and checks that each page keeps to it.
func (f *fixture) pages(prefix, delim string, most int) (objects, prefixes, merged []string) {
	f.Helper()
	req := objstore.ListRequest{Prefix: f.dir + prefix, Delim: delim, Max: most}
	pages := 0
	for page, err := range objstore.ListPages(f.ctx, f.s, req) {
		f.must("list", err)
		if n := len(page.Objects) + len(page.Prefixes); most > 0 && n > most {
			f.Errorf("a page of %d entries, asked for %d", n, most)
		}
		if pages++; pages > 1000 {
			f.Fatal("the listing does not end")
		}
		var here []string
		for _, o := range page.Objects {
			objects = append(objects, strings.TrimPrefix(o.Key, f.dir))
			here = append(here, strings.TrimPrefix(o.Key, f.dir))
		}
		for _, p := range page.Prefixes {
			prefixes = append(prefixes, strings.TrimPrefix(p, f.dir))
			here = append(here, strings.TrimPrefix(p, f.dir))
		}
		slices.Sort(here)
		merged = append(merged, here...)
	}
	if !f.caps.SortedList {
		slices.Sort(objects)
		slices.Sort(prefixes)
		slices.Sort(merged)
	}
	return objects, prefixes, merged
}

func (f *fixture) wantList(what string, got []string, want ...string) {
	f.Helper()
	if !slices.Equal(got, want) {
		f.Errorf("%s: %q, want %q", what, got, want)
	}
}

func sorted(names []string) []string {
	names = slices.Clone(names)
	slices.Sort(names)
	return names
}

func testListOrder(f *fixture) {
	held := f.putTraps()
	for _, most := range []int{0, 1, 2, 3, 100} {
		objects, prefixes, _ := f.pages("", "", most)
		f.wantList(fmt.Sprintf("objects by %d", most), objects, held(sorted(traps)...)...)
		f.wantList("prefixes", prefixes)
	}
	for prefix, want := range map[string][]string{
		"a/":   {"a/a", "a/b-", "a/b.", "a/b/c", "a/b0"},
		"a/b":  {"a/b-", "a/b.", "a/b/c", "a/b0"},
		"a/b/": {"a/b/c"},
		"a":    {"a!", "a-", "a-x/y", "a.", "a/a", "a/b-", "a/b.", "a/b/c", "a/b0", "a0"},
		"b":    {"b"},
		"b/":   nil,
	} {
		objects, _, _ := f.pages(prefix, "", 2)
		f.wantList("prefix "+prefix, objects, held(want...)...)
	}
}

func testListDelim(f *fixture) {
	held := f.putTraps()
	for _, most := range []int{0, 1, 2, 3} {
		objects, prefixes, merged := f.pages("", "/", most)
		f.wantList("objects", objects, held("a!", "a-", "a.", "a0", "b")...)
		f.wantList("prefixes", prefixes, "a-x/", "a/", "ä/")
		f.wantList(fmt.Sprintf("merged by %d", most), merged, held("a!", "a-", "a-x/", "a.", "a/", "a0", "b", "ä/")...)

		objects, prefixes, _ = f.pages("a/", "/", most)
		f.wantList("objects of a/", objects, held("a/a", "a/b-", "a/b.", "a/b0")...)
		f.wantList("prefixes of a/", prefixes, "a/b/")

		// A prefix need not end at a delimiter.
		objects, prefixes, _ = f.pages("a", "/", most)
		f.wantList("objects of a", objects, held("a!", "a-", "a.", "a0")...)
		f.wantList("prefixes of a", prefixes, "a-x/", "a/")
		objects, prefixes, _ = f.pages("a/b", "/", most)
		f.wantList("objects of a/b", objects, held("a/b-", "a/b.", "a/b0")...)
		f.wantList("prefixes of a/b", prefixes, "a/b/")
	}
}

// A marker is an object "dir/" that stands for a directory.
func testListMarker(f *fixture) {
	meta := map[string]string{"mode": "16877"}
	marker := f.put("d/", nil, objstore.PutOptions{Metadata: meta})
	f.wantMetadata("marker", f.want("d/", nil), meta)
	f.wantAbsent("d")
	f.put("d/e/", nil, objstore.PutOptions{})
	f.put("d/x", []byte("x"), objstore.PutOptions{})
	for _, most := range []int{0, 1} {
		objects, prefixes, _ := f.pages("", "/", most)
		f.wantList("objects", objects)
		f.wantList("prefixes", prefixes, "d/")
		objects, prefixes, _ = f.pages("d/", "/", most)
		f.wantList("objects of d/", objects, "d/", "d/x")
		f.wantList("prefixes of d/", prefixes, "d/e/")
		objects, _, _ = f.pages("", "", most)
		f.wantList("all", objects, "d/", "d/e/", "d/x")
	}
	if again := f.stat("d/"); again.Version != marker.Version {
		f.Errorf("the version of a marker changed from %q to %q with its children", marker.Version, again.Version)
	}
	if f.caps.CondPut {
		_, err := f.tryPut("d/", "", absent)
		f.wantKind("marker over a marker", err, objstore.ErrCond)
	}
	f.must("delete marker", f.s.Delete(f.ctx, f.dir+"d/", objstore.Cond{}))
	f.wantAbsent("d/")
	f.want("d/x", []byte("x"))
	f.must("delete", f.s.Delete(f.ctx, f.dir+"d/x", objstore.Cond{}))
	f.wantList("left", f.list(""), "d/e/")
	f.must("delete", f.s.Delete(f.ctx, f.dir+"d/e/", objstore.Cond{}))
	f.wantList("left", f.list(""))

	// Deleting what is in a marked directory leaves the marker.
	f.put("m/", nil, objstore.PutOptions{})
	f.put("m/x", nil, objstore.PutOptions{})
	f.must("delete", f.s.Delete(f.ctx, f.dir+"m/x", objstore.Cond{}))
	f.wantList("left", f.list(""), "m/")
}

func testListPages(f *fixture) {
	var want []string
	for i := range 7 {
		name := fmt.Sprintf("k%d", i)
		f.put(name, nil, objstore.PutOptions{})
		want = append(want, name)
	}
	for _, most := range []int{1, 2, 3, 6, 7, 8} {
		objects, _, _ := f.pages("", "", most)
		f.wantList(fmt.Sprintf("by %d", most), objects, want...)
	}
	// A key deleted between two pages does not disturb the rest.
	page, err := f.s.List(f.ctx, objstore.ListRequest{Prefix: f.dir, Max: 3})
	f.must("list", err)
	f.must("delete", f.s.Delete(f.ctx, f.dir+"k2", objstore.Cond{}))
	page, err = f.s.List(f.ctx, objstore.ListRequest{Prefix: f.dir, Max: 100, Token: page.Next})
	f.must("list", err)
	if len(page.Objects) != 4 || page.Next != "" {
		f.Errorf("the rest is %d objects, next %q", len(page.Objects), page.Next)
	}
}

// A listing whose Max fits exactly has no further page with entries.
func testListPagesFull(f *fixture) {
	f.put("a/x", nil, objstore.PutOptions{})
	f.put("a/y", nil, objstore.PutOptions{})
	f.put("b", nil, objstore.PutOptions{})
	_, _, merged := f.pages("", "/", 2)
	f.wantList("merged", merged, "a/", "b")
}

func testListNothing(f *fixture) {
	f.put("k/x", nil, objstore.PutOptions{})
	for _, prefix := range []string{"none", "none/", "k/x/", "k/x/y", "k/y"} {
		objects, prefixes, _ := f.pages(prefix, "/", 0)
		f.wantList(prefix, objects)
		f.wantList(prefix, prefixes)
	}
}

func testListAttributes(f *fixture) {
	f.put("k", []byte("12345"), objstore.PutOptions{})
	stat := f.stat("k")
	page, err := f.s.List(f.ctx, objstore.ListRequest{Prefix: f.dir})
	f.must("list", err)
	if len(page.Objects) != 1 {
		f.Fatalf("%d objects", len(page.Objects))
	}
	o := page.Objects[0]
	if o.Size != 5 || o.Version != stat.Version || o.ModTime.IsZero() {
		f.Errorf("listed %+v, stat says %+v", o, stat)
	}
}

// A listing shows every change that was made before it.
func testListFresh(f *fixture) {
	for i := range 5 {
		name := fmt.Sprintf("d/k%d", i)
		f.put(name, nil, objstore.PutOptions{})
		f.wantList("after put", f.list("d/"), name)
		f.must("delete", f.s.Delete(f.ctx, f.dir+name, objstore.Cond{}))
		f.wantList("after delete", f.list("d/"))
	}
}
