package storetest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/pailfs/pailfs/objstore"
)

var objectTests = []test{
	{name: "PutAndReplace", run: testPutAndReplace},
	{name: "Empty", run: testEmpty},
	{name: "Large", run: testLarge},
	{name: "Absent", run: testAbsent},
	{name: "DeleteTwice", run: testDeleteTwice},
	{name: "Metadata", run: testMetadata},
	{name: "Checksums", run: testChecksums},
	{name: "BrokenBody", run: testBrokenBody},
	{name: "TooLarge", run: testTooLarge, needs: need{func(c objstore.Caps) bool { return c.MaxPut <= 1<<20 }, tooLarge}},
	{name: "AbortStale", run: testAbortStale},
}

func testPutAndReplace(f *fixture) {
	first := f.put("k", []byte("first"), objstore.PutOptions{ContentType: "text/plain"})
	seen := f.want("k", []byte("first"))
	if seen.Version != first.Version {
		f.Errorf("put gave version %q, stat %q", first.Version, seen.Version)
	}
	if seen.ContentType != "text/plain" {
		f.Errorf("content type %q", seen.ContentType)
	}
	second := f.put("k", []byte("second"), objstore.PutOptions{})
	if second.Version == first.Version {
		f.Errorf("other bytes have the same version %q", first.Version)
	}
	if seen := f.want("k", []byte("second")); seen.Version != second.Version {
		f.Errorf("put gave version %q, stat %q", second.Version, seen.Version)
	}
}

func testEmpty(f *fixture) {
	f.put("k", nil, objstore.PutOptions{})
	f.want("k", nil)
	if got, _ := f.get("k", objstore.Range{Off: 0, Len: 5}); len(got) != 0 {
		f.Errorf("read %q", got)
	}
	if names := f.list(""); len(names) != 1 || names[0] != "k" {
		f.Errorf("list: %q", names)
	}
}

func testLarge(f *fixture) {
	body := pattern(1, min(f.caps.MaxPut, 3<<20+17))
	f.put("k", body, objstore.PutOptions{})
	f.want("k", body)
}

func testAbsent(f *fixture) {
	f.wantAbsent("k")
	f.put("kk", []byte("x"), objstore.PutOptions{}) // a longer key is another key
	f.wantAbsent("k")
}

func testDeleteTwice(f *fixture) {
	f.put("k", []byte("x"), objstore.PutOptions{})
	f.must("delete", f.s.Delete(f.ctx, f.dir+"k", objstore.Cond{}))
	f.wantAbsent("k")
	f.must("delete again", f.s.Delete(f.ctx, f.dir+"k", objstore.Cond{}))
	f.must("delete what never was", f.s.Delete(f.ctx, f.dir+"never/was", objstore.Cond{}))
}

// oddMetadata are values as file names, symlink targets and xattrs give them.
var oddMetadata = map[string]string{
	"mtime":   "1700000000.123456789",
	"mode":    "33188",
	"unicode": "Grüße, 世界 🪣",
	"spaces":  "a  b c",
	"padded":  " leading and trailing ",
	"percent": "100%25 = a+b",
	"quotes":  `"x", 'y'; z=\`,
	"long":    strings.Repeat("v", 300),
	"empty":   "",
}

func testMetadata(f *fixture) {
	o := f.put("k", []byte("x"), objstore.PutOptions{Metadata: oddMetadata})
	f.wantMetadata("put", o, oddMetadata)
	f.wantMetadata("stat", f.stat("k"), oddMetadata)
	_, o = f.get("k", objstore.All)
	f.wantMetadata("get", o, oddMetadata)

	f.put("plain", []byte("x"), objstore.PutOptions{})
	f.wantMetadata("stat without", f.stat("plain"), nil)

	for o, err := range objstore.ListAll(f.ctx, f.s, objstore.ListRequest{Prefix: f.dir}) {
		f.must("list", err)
		want := oddMetadata
		if strings.HasSuffix(o.Key, "plain") {
			want = nil
		}
		if f.caps.ListMetadata || o.MetadataKnown {
			f.wantMetadata("list "+o.Key, o, want)
		}
	}

	// Replacing the object replaces the metadata, it does not merge.
	f.put("k", []byte("y"), objstore.PutOptions{Metadata: map[string]string{"other": "1"}})
	f.wantMetadata("replaced", f.stat("k"), map[string]string{"other": "1"})
	f.put("k", []byte("z"), objstore.PutOptions{})
	f.wantMetadata("replaced without", f.stat("k"), nil)
}

func testChecksums(f *fixture) {
	body := []byte("checked")
	sum := sha256.Sum256(body)
	o := f.put("k", body, objstore.PutOptions{Checksums: objstore.Checksums{SHA256: sum[:]}})
	for what, got := range map[string][]byte{"put": o.Checksums.SHA256, "stat": f.stat("k").Checksums.SHA256} {
		if got != nil && !bytes.Equal(got, sum[:]) {
			f.Errorf("%s: SHA-256 %x, want %x", what, got, sum)
		}
	}
	// Not every provider checks a SHA-256, but none may call a mismatch
	// anything else, nor show what it refused.
	wrong := sha256.Sum256([]byte("other"))
	_, err := f.s.Put(f.ctx, f.dir+"bad", section(body), objstore.PutOptions{Checksums: objstore.Checksums{SHA256: wrong[:]}})
	if err != nil {
		f.wantKind("put with a wrong checksum", err, objstore.ErrChecksum)
		f.wantAbsent("bad")
	}
}

// brokenBody ends, or fails, after some bytes.
type brokenBody struct {
	good []byte
	err  error
}

func (b brokenBody) ReadAt(p []byte, off int64) (int, error) {
	if off >= int64(len(b.good)) {
		return 0, b.err
	}
	n := copy(p, b.good[off:])
	if n < len(p) {
		return n, b.err
	}
	return n, nil
}

func testBrokenBody(f *fixture) {
	f.put("old", []byte("old"), objstore.PutOptions{})
	for name, err := range map[string]error{"short": io.EOF, "failing": errors.New("disk on fire")} {
		body := func() *io.SectionReader {
			return io.NewSectionReader(brokenBody{[]byte("0123456"), err}, 0, 15)
		}
		f.Run(name, func(t *testing.T) {
			f := newFixture(t, f.s, f.dir)
			if _, err := f.s.Put(f.ctx, f.dir+name, body(), objstore.PutOptions{}); err == nil {
				f.Error("a put of a broken body succeeded")
			}
			f.wantAbsent(name)
			if _, err := f.s.Put(f.ctx, f.dir+"old", body(), objstore.PutOptions{}); err == nil {
				f.Error("a put of a broken body over an object succeeded")
			}
			f.want("old", []byte("old"))

			u := f.upload(name, objstore.PutOptions{})
			if err := u.PutPart(f.ctx, 1, body()); err == nil {
				f.Error("a part with a broken body was taken")
			}
			if _, err := u.Commit(f.ctx, 1); err == nil {
				f.Error("commit without the part succeeded")
			}
			f.must("abort", u.Abort(f.ctx))
			f.wantAbsent(name)
		})
	}
}

func testTooLarge(f *fixture) {
	_, err := f.s.Put(f.ctx, f.dir+"k", section(pattern(1, f.caps.MaxPut+1)), objstore.PutOptions{})
	f.wantKind("put of more than MaxPut", err, objstore.ErrUnsupported)
	f.wantAbsent("k")
}

func testAbortStale(f *fixture) {
	cleaner, ok := f.s.(objstore.Cleaner)
	if !ok {
		f.lacks("an upload leaves nothing that a later process could abort")
		return
	}
	u := f.upload("mine/k", objstore.PutOptions{})
	f.must("part", u.PutPart(f.ctx, 1, section([]byte("part"))))

	n, err := cleaner.AbortStale(f.ctx, f.dir, time.Now().Add(-24*time.Hour))
	if f.must("abort older", err); n != 0 {
		f.Errorf("aborted %d uploads, none is a day old", n)
	}
	later := time.Now().Add(24 * time.Hour)
	n, err = cleaner.AbortStale(f.ctx, f.dir+"others/", later)
	if f.must("abort others", err); n != 0 {
		f.Errorf("aborted %d uploads outside the prefix", n)
	}
	_, err = u.Commit(f.ctx, 1)
	f.must("commit of an upload that is not stale", err)
	f.want("mine/k", []byte("part"))

	// An upload that is alive is either aborted, and counted, or goes on: a
	// driver may be able to tell.
	u = f.upload("mine/l", objstore.PutOptions{})
	f.must("part", u.PutPart(f.ctx, 1, section([]byte("part"))))
	n, err = cleaner.AbortStale(f.ctx, f.dir, later)
	f.must("abort all", err)
	_, err = u.Commit(f.ctx, 1)
	switch {
	case n == 1 && err != nil:
		f.wantAbsent("mine/l")
	case n == 0 && err == nil:
		f.want("mine/l", []byte("part"))
	default:
		f.Errorf("aborted %d, commit: %v", n, err)
	}
}
