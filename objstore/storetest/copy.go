package storetest

import (
	"slices"

	"github.com/pailfs/pailfs/objstore"
)

var copyTests = []test{
	{name: "Copy", run: testCopy},
	{name: "Metadata", run: testCopyMetadata},
	{name: "Rewrite", run: testRewriteMetadata},
	{name: "Missing", run: testCopyMissing},
	{name: "TooLarge", run: testCopyTooLarge, needs: need{func(c objstore.Caps) bool { return c.MaxCopy <= 1<<20 }, tooLarge}},
	{name: "Part", run: testCopyPart},
	{name: "PartOfNothing", run: testCopyPartFails},
	{name: "Rename", run: testRename, needs: renames},
}

func (f *fixture) copy(dst, src string, opt objstore.CopyOptions) objstore.Object {
	f.Helper()
	o, err := f.s.Copy(f.ctx, f.dir+dst, f.dir+src, opt)
	f.must("copy", err)
	return o
}

func testCopy(f *fixture) {
	meta := map[string]string{"mode": "33188", "name": "ü"}
	f.put("src", []byte("bytes"), objstore.PutOptions{ContentType: "text/plain", Metadata: meta})
	f.put("dst", []byte("old bytes"), objstore.PutOptions{Metadata: map[string]string{"old": "1"}})
	for _, dst := range []string{"dst", "new/dir/dst"} {
		o := f.copy(dst, "src", objstore.CopyOptions{})
		f.wantObject("copy", o, dst, 5)
		f.wantMetadata("copy", o, meta)
		seen := f.want(dst, []byte("bytes"))
		f.wantMetadata("stat", seen, meta)
		if seen.ContentType != "text/plain" || seen.Version != o.Version {
			f.Errorf("copy gave %+v, stat %+v", o, seen)
		}
	}
	f.want("src", []byte("bytes"))
}

func testCopyMetadata(f *fixture) {
	f.put("src", []byte("bytes"), objstore.PutOptions{ContentType: "text/plain", Metadata: map[string]string{"old": "1"}})
	f.copy("dst", "src", objstore.CopyOptions{Metadata: oddMetadata})
	seen := f.want("dst", []byte("bytes"))
	f.wantMetadata("stat", seen, oddMetadata)
	if seen.ContentType != "text/plain" {
		f.Errorf("content type %q", seen.ContentType)
	}
	f.wantMetadata("source", f.stat("src"), map[string]string{"old": "1"})
	f.copy("dst", "src", objstore.CopyOptions{Metadata: map[string]string{}})
	f.wantMetadata("none, not the source's", f.stat("dst"), nil)
}

// A copy onto itself rewrites the metadata and nothing else.
func testRewriteMetadata(f *fixture) {
	first := f.put("k", []byte("bytes"), objstore.PutOptions{ContentType: "text/plain", Metadata: map[string]string{"old": "1"}})
	o := f.copy("k", "k", objstore.CopyOptions{Src: first.Version, Metadata: oddMetadata})
	seen := f.want("k", []byte("bytes"))
	f.wantMetadata("rewritten", seen, oddMetadata)
	if seen.ContentType != "text/plain" || seen.Version != o.Version {
		f.Errorf("copy gave %+v, stat %+v", o, seen)
	}
	f.copy("k", "k", objstore.CopyOptions{Metadata: map[string]string{}})
	f.wantMetadata("emptied", f.want("k", []byte("bytes")), nil)

	f.put("d/", nil, objstore.PutOptions{})
	f.put("d/x", nil, objstore.PutOptions{})
	f.copy("d/", "d/", objstore.CopyOptions{Metadata: oddMetadata})
	f.wantMetadata("marker", f.stat("d/"), oddMetadata)
}

func testCopyMissing(f *fixture) {
	_, err := f.s.Copy(f.ctx, f.dir+"dst", f.dir+"none", objstore.CopyOptions{})
	f.wantKind("copy of nothing", err, objstore.ErrNotFound)
	f.wantAbsent("dst")
}

func testCopyTooLarge(f *fixture) {
	f.putAny("src", pattern(1, f.caps.MaxCopy+1))
	_, err := f.s.Copy(f.ctx, f.dir+"dst", f.dir+"src", objstore.CopyOptions{})
	f.wantKind("copy of more than MaxCopy", err, objstore.ErrUnsupported)
	f.wantAbsent("dst")
}

// An object changed in place: its head kept, its tail new.
func testCopyPart(f *fixture) {
	u := f.upload("k", objstore.PutOptions{Metadata: map[string]string{"own": "1"}})
	c, ok := u.(objstore.PartCopier)
	if !ok {
		f.lacks("no copy of a range inside the store")
		return
	}
	body := pattern(1, f.part+5)
	src := f.putAny("k-src", body)
	f.must("copy part", c.CopyPart(f.ctx, 1, f.dir+"k-src", src.Version, objstore.Range{Off: 3, Len: f.part}))
	f.must("part", u.PutPart(f.ctx, 2, section([]byte("tail"))))
	o := f.commit(u, "k", 2, slices.Concat(body[3:3+f.part], []byte("tail")))
	f.wantMetadata("commit", o, map[string]string{"own": "1"})
	f.want("k-src", body)
}

func testCopyPartFails(f *fixture) {
	u := f.upload("k", objstore.PutOptions{})
	c, ok := u.(objstore.PartCopier)
	if !ok {
		f.lacks("no copy of a range inside the store")
		return
	}
	r := objstore.Range{Off: 0, Len: f.part}
	old := f.put("src", []byte("old"), objstore.PutOptions{})
	f.wantKind("part of nothing", c.CopyPart(f.ctx, 1, f.dir+"none", old.Version, r), objstore.ErrNotFound)
	f.putAny("src", pattern(1, f.part))
	f.wantKind("part of another version", c.CopyPart(f.ctx, 1, f.dir+"src", old.Version, r), objstore.ErrCond)
	if _, err := u.Commit(f.ctx, 1); f.kind("commit", err) == nil {
		f.Error("an upload without its part was committed")
	}
	f.wantAbsent("k")
}

func testRename(f *fixture) {
	r, ok := f.s.(objstore.Renamer)
	if !ok {
		f.Fatal("Caps say AtomicRename, the store is no Renamer")
	}
	f.put("d/src", []byte("bytes"), objstore.PutOptions{ContentType: "text/plain", Metadata: oddMetadata})
	f.put("dst", []byte("old"), objstore.PutOptions{})
	o, err := r.Rename(f.ctx, f.dir+"dst", f.dir+"d/src", objstore.CopyOptions{})
	f.must("rename", err)
	f.wantObject("rename", o, "dst", 5)
	seen := f.want("dst", []byte("bytes"))
	f.wantMetadata("renamed", seen, oddMetadata)
	if seen.ContentType != "text/plain" {
		f.Errorf("content type %q", seen.ContentType)
	}
	f.wantAbsent("d/src")
	f.wantList("left", f.list(""), "dst")

	_, err = r.Rename(f.ctx, f.dir+"new/dir/k", f.dir+"dst", objstore.CopyOptions{Metadata: map[string]string{"n": "1"}})
	f.must("rename into a new directory", err)
	f.wantMetadata("renamed with metadata", f.want("new/dir/k", []byte("bytes")), map[string]string{"n": "1"})
	f.wantAbsent("dst")
	_, err = r.Rename(f.ctx, f.dir+"x", f.dir+"dst", objstore.CopyOptions{})
	f.wantKind("rename of nothing", err, objstore.ErrNotFound)
}
