package storetest

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/pailfs/pailfs/objstore"
)

var keyTests = []test{
	{name: "Odd", run: testOddKeys},
	{name: "Empty", run: testEmptyKey},
	{name: "FileAndDirectory", run: testFileAndDirectory},
}

var oddKeys = map[string]string{
	"Spaces":          " a b ",
	"Percent":         "100%25%zz",
	"Plus":            "a+b&c=d?e#f",
	"Quotes":          "a\"b'c\\d<e>&amp;",
	"Unicode":         "Grüße/世界/🪣",
	"Decomposed":      "u\u0308",
	"Newline":         "a\nb",
	"CarriageReturn":  "a\rb",
	"Tab":             "a\tb",
	"Control":         "a\x01b\x7f",
	"NUL":             "a\x00b",
	"NonUTF8":         "a\xff\xfeb",
	"Surrogate":       "a\xed\xa0\x80b",
	"DoubleSlash":     "a//b",
	"TrailingSlash":   "a/b/",
	"TrailingSlashes": "a/b//",
	"LeadingSlash":    "/a",
	"Dot":             "a/./b",
	"DotDot":          "a/../b",
	"EndsDotDot":      "a/..",
	"Dots":            "a/.../b",
	"TrailingDot":     "a./b.",
	"Backslash":       `a\b`,
	"Colon":           "a:b*c|d",
	"LongName":        strings.Repeat("n", 255),
	"TooLongName":     strings.Repeat("n", 256),
}

// Each key either round-trips exactly, or is refused and leaves nothing.
func testOddKeys(f *fixture) {
	long := strings.Repeat("0123456/", 128)[:1023] + "x"
	try := func(name, key string) {
		var lack string
		ok := f.Run(name, func(t *testing.T) {
			f := newFixture(t, f.s, f.dir+strings.ToLower(name)+"/")
			testOddKey(f, key)
			lack = f.lack
		})
		f.out.add(f.name+"/"+name, ok, lack)
	}
	for _, name := range slices.Sorted(maps.Keys(oddKeys)) {
		try(name, oddKeys[name])
	}
	try("Long1024", long[:1024-len(f.dir+"long1024/")])
	try("TooLong", long+"y")
}

func testOddKey(f *fixture, key string) {
	body := []byte("odd bytes")
	_, err := f.s.Put(f.ctx, f.dir+key, section(body), objstore.PutOptions{})
	if err != nil {
		f.wantKind("put", err, objstore.ErrUnsupported)
		f.lacks("refused")
		f.wantList("left behind", f.list(""))
		_, err = f.s.Stat(f.ctx, f.dir+key)
		if k := f.kind("stat", err); k != objstore.ErrUnsupported && k != objstore.ErrNotFound {
			f.Errorf("stat of a refused key: %v", err)
		}
		if u, err := f.s.NewUpload(f.ctx, f.dir+key, objstore.PutOptions{}); err == nil {
			err = u.PutPart(f.ctx, 1, section(body))
			if err == nil {
				_, err = u.Commit(f.ctx, 1)
			}
			f.wantKind("upload", err, objstore.ErrUnsupported)
			f.must("abort", u.Abort(f.ctx))
		}
		f.wantList("left behind", f.list(""))
		return
	}
	f.want(key, body)
	f.wantList("list", f.list(""), key)
	_, _, merged := f.pages("", "/", 1)
	want := key
	if i := strings.Index(key, "/"); i >= 0 {
		want = key[:i+1]
	}
	f.wantList("list with a delimiter", merged, want)

	f.put("from", body, objstore.PutOptions{})
	f.copy(key, "from", objstore.CopyOptions{})
	f.copy("to", key, objstore.CopyOptions{})
	f.want("to", body)
	u := f.upload(key, objstore.PutOptions{})
	f.sendParts(u, []byte("uploaded"))
	_, err = u.Commit(f.ctx, 1)
	f.must("commit", err)
	f.want(key, []byte("uploaded"))
	f.must("delete", f.s.Delete(f.ctx, f.dir+key, objstore.Cond{}))
	f.wantList("left", f.list(""), "from", "to")
}

func testEmptyKey(f *fixture) {
	_, err := f.s.Put(f.ctx, "", section(nil), objstore.PutOptions{})
	f.wantKind("put", err, objstore.ErrUnsupported)
	if _, err = f.s.Stat(f.ctx, ""); f.kind("stat", err) == nil {
		f.Error("the empty key has an object")
	}
	if err := f.s.Delete(f.ctx, "", objstore.Cond{}); f.kind("delete", err) == nil {
		f.Error("the empty key was deleted")
	}
}

// A key that is also a prefix of others is held, or refused without harm.
func testFileAndDirectory(f *fixture) {
	f.put("a", []byte("a"), objstore.PutOptions{})
	_, err := f.s.Put(f.ctx, f.dir+"a/b", section([]byte("b")), objstore.PutOptions{})
	f.want("a", []byte("a"))
	if err != nil {
		f.wantKind("put below an object", err, objstore.ErrUnsupported)
		f.lacks("refused")
		f.wantAbsent("a/b")
	} else {
		f.want("a/b", []byte("b"))
		f.wantList("list", f.list(""), "a", "a/b")
		f.must("delete", f.s.Delete(f.ctx, f.dir+"a", objstore.Cond{}))
		f.want("a/b", []byte("b"))
	}
	f.must("delete", f.s.Delete(f.ctx, f.dir+"a", objstore.Cond{}))

	f.put("d/b", []byte("b"), objstore.PutOptions{})
	_, err = f.s.Put(f.ctx, f.dir+"d", section([]byte("d")), objstore.PutOptions{})
	f.want("d/b", []byte("b"))
	if err != nil {
		f.wantKind("put of an object that is a prefix", err, objstore.ErrUnsupported)
		f.wantAbsent("d")
	} else {
		f.want("d", []byte("d"))
	}
}
