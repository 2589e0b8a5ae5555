package storetest

import (
	"slices"

	"github.com/pailfs/pailfs/objstore"
)

var (
	anyOrder   = need{func(c objstore.Caps) bool { return !c.OrderedParts }, "parts are sent in order"}
	smallParts = need{func(c objstore.Caps) bool { return !c.OrderedParts && c.MinPart <= 1<<16 }, "parts are large: cases with few of them do"}
	largeParts = need{func(c objstore.Caps) bool { return c.MinPart > 1 }, "parts may have any size"}
)

// With a real provider a full part is 5 MiB: few tests use one.
var uploadTests = []test{
	{name: "OnePart", run: testOnePart},
	{name: "ShortLast", run: testShortLast},
	{name: "PartsChanged", run: testPartsChanged, needs: anyOrder},
	{name: "PartSizes", run: testPartSizes, needs: smallParts},
	{name: "Parallel", run: testParallelParts, needs: smallParts},
	{name: "Gap", run: testGap, needs: anyOrder},
	{name: "FewerThanSent", run: testFewerThanSent, needs: anyOrder}, // a stream cannot take back
	{name: "SmallFirst", run: testSmallFirst, needs: largeParts},
	{name: "BadNumbers", run: testBadNumbers},
	{name: "AbortTwice", run: testAbortTwice},
	{name: "AbortAfterCommit", run: testAbortAfterCommit},
	{name: "Replace", run: testUploadReplace},
	{name: "TwoAtOnce", run: testTwoUploads},
	{name: "Metadata", run: testUploadMetadata},
	{name: "LateMetadata", run: testLateMetadata},
}

func (f *fixture) sendParts(u objstore.Upload, parts ...[]byte) {
	f.Helper()
	for i, p := range parts {
		f.must("part", u.PutPart(f.ctx, i+1, section(p)))
	}
}

func (f *fixture) commit(u objstore.Upload, name string, last int, want []byte) objstore.Object {
	f.Helper()
	f.wantAbsent(name)
	o, err := u.Commit(f.ctx, last)
	f.must("commit "+name, err)
	f.wantObject("commit "+name, o, name, int64(len(want)))
	if seen := f.want(name, want); seen.Version != o.Version {
		f.Errorf("commit gave version %q, stat %q", o.Version, seen.Version)
	}
	return o
}

func testOnePart(f *fixture) {
	u := f.upload("k", objstore.PutOptions{ContentType: "text/x-one"})
	f.sendParts(u, []byte("one"))
	f.commit(u, "k", 1, []byte("one"))
	if got := f.stat("k").ContentType; got != "text/x-one" {
		f.Errorf("content type %q", got)
	}
}

func testShortLast(f *fixture) {
	u := f.upload("k", objstore.PutOptions{})
	big := pattern(1, f.part)
	f.sendParts(u, big, []byte("end"))
	f.commit(u, "k", 2, slices.Concat(big, []byte("end")))
}

// The last part first, and the first part twice: what a program does that goes
// back to write its header.
func testPartsChanged(f *fixture) {
	u := f.upload("k", objstore.PutOptions{})
	f.must("part 2", u.PutPart(f.ctx, 2, section([]byte("tail"))))
	f.must("part 1", u.PutPart(f.ctx, 1, section(pattern(1, f.part))))
	f.must("part 2 again, shorter", u.PutPart(f.ctx, 2, section([]byte("end"))))
	again := pattern(2, f.part+1)
	f.must("part 1 again, longer", u.PutPart(f.ctx, 1, section(again)))
	f.commit(u, "k", 2, slices.Concat(again, []byte("end")))
}

// Parts of any sizes, in any order, some of them sent again with another size.
func testPartSizes(f *fixture) {
	sizes := []int64{0, 0, 1, 5, 3, 8, 2}
	parts := make([][]byte, len(sizes)+1)
	u := f.upload("k", objstore.PutOptions{})
	for round, order := range [][]int{{7, 3, 1, 6, 2, 5, 4}, {1, 4, 5}, {7}} {
		for _, n := range order {
			parts[n] = pattern(byte(10*round+n), f.part+(sizes[n-1]*int64(round+1))%8)
			f.must("part", u.PutPart(f.ctx, n, section(parts[n])))
		}
	}
	f.commit(u, "k", 7, slices.Concat(parts...))
}

func testGap(f *fixture) {
	u := f.upload("k", objstore.PutOptions{})
	f.must("part 1", u.PutPart(f.ctx, 1, section([]byte("one"))))
	f.must("part 3", u.PutPart(f.ctx, 3, section([]byte("three"))))
	if _, err := u.Commit(f.ctx, 3); f.kind("commit", err) == nil {
		f.Error("an upload with a gap was committed")
	}
	f.wantAbsent("k")
	f.must("abort after a failed commit", u.Abort(f.ctx))
	f.wantAbsent("k")

	u = f.upload("k", objstore.PutOptions{})
	f.must("part 1", u.PutPart(f.ctx, 1, section([]byte("one"))))
	if _, err := u.Commit(f.ctx, 2); f.kind("commit", err) == nil {
		f.Error("an upload without its last part was committed")
	}
	f.wantAbsent("k")
}

func testFewerThanSent(f *fixture) {
	u := f.upload("k", objstore.PutOptions{})
	f.sendParts(u, []byte("one"))
	f.must("part 2", u.PutPart(f.ctx, 2, section([]byte("two"))))
	f.commit(u, "k", 1, []byte("one"))
}

func testSmallFirst(f *fixture) {
	u := f.upload("k", objstore.PutOptions{})
	f.sendParts(u, pattern(1, f.caps.MinPart-1), []byte("end"))
	if _, err := u.Commit(f.ctx, 2); f.kind("commit", err) == nil {
		f.Error("a part below MinPart that is not the last was committed")
	}
	f.wantAbsent("k")
}

func testBadNumbers(f *fixture) {
	u := f.upload("k", objstore.PutOptions{})
	for _, n := range []int{0, -1, f.caps.MaxParts + 1} {
		if err := u.PutPart(f.ctx, n, section([]byte("x"))); f.kind("part", err) == nil {
			f.Errorf("part %d was taken", n)
		}
	}
	if _, err := u.Commit(f.ctx, 0); f.kind("commit", err) == nil {
		f.Error("an upload of no parts was committed")
	}
	f.wantAbsent("k")
}

func testAbortTwice(f *fixture) {
	u := f.upload("k", objstore.PutOptions{})
	f.sendParts(u, []byte("one"))
	f.must("abort", u.Abort(f.ctx))
	f.must("abort again", u.Abort(f.ctx))
	f.wantAbsent("k")
	if _, err := u.Commit(f.ctx, 1); f.kind("commit", err) == nil {
		f.Error("an aborted upload was committed")
	}
	if err := u.PutPart(f.ctx, 1, section([]byte("x"))); f.kind("part", err) == nil {
		f.Error("an aborted upload took a part")
	}
	f.wantAbsent("k")
	f.must("abort of an empty upload", f.upload("l", objstore.PutOptions{}).Abort(f.ctx))
}

func testAbortAfterCommit(f *fixture) {
	u := f.upload("k", objstore.PutOptions{})
	f.sendParts(u, []byte("one"))
	f.commit(u, "k", 1, []byte("one"))
	f.must("abort", u.Abort(f.ctx))
	f.want("k", []byte("one"))
}

// The old object is there, whole, until the commit.
func testUploadReplace(f *fixture) {
	f.put("k", []byte("old"), objstore.PutOptions{Metadata: map[string]string{"old": "1"}})
	u := f.upload("k", objstore.PutOptions{})
	f.sendParts(u, []byte("new bytes"))
	f.want("k", []byte("old"))
	_, err := u.Commit(f.ctx, 1)
	f.must("commit", err)
	f.wantMetadata("replaced", f.want("k", []byte("new bytes")), nil)

	u = f.upload("k", objstore.PutOptions{})
	f.sendParts(u, []byte("never"))
	f.must("abort", u.Abort(f.ctx))
	f.want("k", []byte("new bytes"))
}

func testTwoUploads(f *fixture) {
	a, b := f.upload("k", objstore.PutOptions{}), f.upload("k", objstore.PutOptions{})
	f.sendParts(a, []byte("from a"))
	f.sendParts(b, []byte("b"))
	f.commit(a, "k", 1, []byte("from a"))
	_, err := b.Commit(f.ctx, 1)
	if f.caps.OneUpload {
		f.wantKind("commit of the second", err, objstore.ErrCond)
		f.want("k", []byte("from a"))
		return
	}
	f.must("commit of the second", err)
	f.want("k", []byte("b"))
}

func testUploadMetadata(f *fixture) {
	u := f.upload("k", objstore.PutOptions{Metadata: oddMetadata})
	f.sendParts(u, []byte("one"))
	f.wantMetadata("commit", f.commit(u, "k", 1, []byte("one")), oddMetadata)
	f.wantMetadata("stat", f.stat("k"), oddMetadata)
}

func testLateMetadata(f *fixture) {
	u := f.upload("k", objstore.PutOptions{Metadata: map[string]string{"early": "1"}})
	late, ok := u.(objstore.LateMetadata)
	if !ok {
		f.lacks("metadata go with the beginning of an upload")
		return
	}
	f.sendParts(u, []byte("one"))
	want := map[string]string{"mtime": "1700000000", "late": "2"}
	late.SetMetadata(want)
	f.wantMetadata("commit", f.commit(u, "k", 1, []byte("one")), want)
	f.wantMetadata("stat", f.stat("k"), want)
}
