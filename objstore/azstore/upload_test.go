package azstore

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"

	"github.com/pailfs/pailfs/objstore"
)

// blockList is the answer to Get Block List.
func blockList(kind string, blocks ...string) *http.Response {
	var b strings.Builder
	fmt.Fprintf(&b, "<?xml version=\"1.0\"?><BlockList><%s>", kind)
	for _, block := range blocks {
		id, size, _ := strings.Cut(block, ":")
		fmt.Fprintf(&b, "<Block><Name>%s</Name><Size>%s</Size></Block>", base64.StdEncoding.EncodeToString([]byte(id)), size)
	}
	fmt.Fprintf(&b, "</%s></BlockList>", kind)
	return reply(200, map[string]string{"Content-Type": "application/xml"}, b.String())
}

// committed are the blocks that a Put Block List names, those of others in clear.
func committed(t *testing.T, r request) (names []string) {
	t.Helper()
	for part := range strings.SplitSeq(r.body, "<Latest>") {
		id, _, ok := strings.Cut(part, "</Latest>")
		if !ok {
			continue
		}
		raw, err := base64.StdEncoding.DecodeString(id)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.HasPrefix(raw, []byte("theirs")) {
			names = append(names, string(raw))
		} else {
			names = append(names, fmt.Sprintf("ours of %d", len(raw)))
		}
	}
	return names
}

// An append keeps the blocks that are there and sends the tail. What of a block
// must go is copied inside the service.
func TestAppendKeepsBlocks(t *testing.T) {
	s, sc := played(t, func(r request) *http.Response {
		switch {
		case r.is("Get Block List"):
			return blockList("CommittedBlocks", "theirs-00001:100", "theirs-00002:100", "theirs-00003:50")
		case r.is("Get Blob Properties"):
			return properties("250", nil)
		}
		return reply(201, nil, "")
	})
	u, err := s.NewUpload(t.Context(), "k", objstore.PutOptions{Cond: objstore.Cond{Version: "0x1"}, Metadata: map[string]string{"mode": "1"}, StorageClass: "Hot"})
	if err != nil {
		t.Fatal(err)
	}
	if err := u.PutPart(t.Context(), 2, text("tail")); err != nil { // before the copy, as an early part goes
		t.Fatal(err)
	}
	if err := u.(objstore.PartCopier).CopyPart(t.Context(), 1, "k", "0x1", objstore.Range{Off: 10, Len: 230}); err != nil {
		t.Fatal(err)
	}
	u.(objstore.LateMetadata).SetMetadata(map[string]string{"mode": "2"})
	o, err := u.Commit(t.Context(), 2)
	if err != nil || o.Size != 234 || o.Metadata["mode"] != "2" {
		t.Fatalf("%+v, %v", o, err)
	}
	r := sc.one(t, "Put Block List")
	if got, want := committed(t, r), []string{"ours of 12", "theirs-00002", "ours of 12", "ours of 12"}; !slices.Equal(got, want) {
		t.Errorf("committed %q, want %q", got, want)
	}
	if h := r.header; h.Get("If-Match") != `"0x1"` || h.Get("x-ms-meta-mode") != "2" || h.Get("x-ms-access-tier") != "Hot" {
		t.Errorf("%v", h)
	}
	var ranges []string
	for _, r := range sc.all("Put Block From URL") {
		if r.header.Get("x-ms-source-if-match") != `"0x1"` || !strings.Contains(r.header.Get("x-ms-copy-source"), "/cont/k?") {
			t.Errorf("%v", r.header)
		}
		ranges = append(ranges, r.header.Get("x-ms-source-range"))
	}
	if !slices.Equal(ranges, []string{"bytes=10-99", "bytes=200-239"}) {
		t.Errorf("copied %q", ranges)
	}
	if r := sc.one(t, "Put Block"); r.header.Get("x-ms-content-crc64") != crcOf("tail") {
		t.Errorf("%v", r.header)
	}
}

// Of another object, or another version, no block can be kept.
func TestRangeOfAnotherObjectIsCopied(t *testing.T) {
	s, sc := played(t, func(r request) *http.Response {
		if r.is("Get Blob Properties") {
			return properties("9000000000", nil)
		}
		return reply(201, nil, "")
	})
	u, err := s.NewUpload(t.Context(), "k", objstore.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := u.(objstore.PartCopier).CopyPart(t.Context(), 1, "other", "0x1", objstore.Range{Off: 0, Len: 2500 * mib}); err != nil {
		t.Fatal(err)
	}
	var ranges []string
	for _, r := range sc.all("Put Block From URL") {
		ranges = append(ranges, r.header.Get("x-ms-source-range"))
	}
	if !slices.Equal(ranges, []string{"bytes=0-1073741823", "bytes=1073741824-2147483647", "bytes=2147483648-2621439999"}) {
		t.Errorf("copied %q", ranges)
	}
	if n := len(sc.all("Get Block List")); n != 0 {
		t.Errorf("%d block lists were asked for", n)
	}
	for _, r := range []objstore.Range{{Off: 0, Len: 9000000001}, {Off: -1, Len: 1}, {Off: 5, Len: 0}} {
		if err := u.(objstore.PartCopier).CopyPart(t.Context(), 1, "other", "0x1", r); !errors.Is(err, objstore.ErrRange) {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

// Each try has a block of its own, so that a late one replaces nothing.
func TestBlocksHaveNamesOfTheirOwn(t *testing.T) {
	s, sc := played(t, created)
	seen := map[string]bool{}
	for range 2 {
		u, err := s.NewUpload(t.Context(), "k", objstore.PutOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{1, 2, 1} {
			if err := u.PutPart(t.Context(), n, text("x")); err != nil {
				t.Fatal(err)
			}
		}
		if err := u.PutPart(t.Context(), 3, text("")); err != nil { // the service has no empty block
			t.Fatal(err)
		}
		if o, err := u.Commit(t.Context(), 3); err != nil || o.Size != 2 {
			t.Fatalf("%+v, %v", o, err)
		}
	}
	for _, r := range sc.all("Put Block") {
		id := r.query.Get("blockid")
		if seen[id] || len(id) != 24 {
			t.Errorf("block %q", id)
		}
		seen[id] = true
	}
	if len(seen) != 6 {
		t.Errorf("%d blocks", len(seen))
	}
}

// All blocks that wait at a key have names of one length: ours give way.
func TestBlocksOfOthersWait(t *testing.T) {
	s := open(t)
	foreign := s.blockBlob("k")
	for _, id := range []string{"MDAwMDAwMDAwMDAx", "MDAwMDAwMDAwMDAy"} { // 12 bytes
		if _, err := foreign.StageBlock(t.Context(), id, streaming.NopCloser(strings.NewReader("theirs")), nil); err != nil {
			t.Fatal(err)
		}
	}
	u, err := s.NewUpload(t.Context(), "k", objstore.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for n, part := range []string{"one ", "two"} {
		if err := u.PutPart(t.Context(), n+1, text(part)); err != nil {
			t.Fatal(err)
		}
	}
	if list, err := foreign.GetBlockList(t.Context(), blockblob.BlockListTypeUncommitted, nil); err != nil || len(list.UncommittedBlocks) != 4 {
		t.Errorf("%+v, %v", list, err)
	}
	if o, err := u.Commit(t.Context(), 2); err != nil || o.Size != 7 {
		t.Errorf("%+v, %v", o, err)
	}
	if _, err := foreign.StageBlock(t.Context(), "MDE=", streaming.NopCloser(strings.NewReader("theirs")), nil); err != nil {
		t.Fatal(err)
	}
	if u, err = s.NewUpload(t.Context(), "k", objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := u.PutPart(t.Context(), 1, text("x")); err == nil || !strings.Contains(err.Error(), "MDE=") {
		t.Errorf("names too short for a nonce: %v", err)
	}
}

// At an emulator, which cannot copy a range, the blocks stay all the same; what
// lies beside them is sent again.
func TestAppendAtAnEmulator(t *testing.T) {
	s := open(t)
	whole := bytes.Repeat([]byte("0123456789abcdef"), 6<<16) // 6 MiB
	first, err := s.NewUpload(t.Context(), "k", objstore.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		if err := first.PutPart(t.Context(), n+1, section(whole[n<<21:(n+1)<<21])); err != nil {
			t.Fatal(err)
		}
	}
	old, err := first.Commit(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	before := blocksOf(t, s, "k")
	u, err := s.NewUpload(t.Context(), "k", objstore.PutOptions{Cond: objstore.Cond{Version: old.Version}})
	if err != nil {
		t.Fatal(err)
	}
	if err := u.(objstore.PartCopier).CopyPart(t.Context(), 1, "k", old.Version, objstore.Range{Len: 5 << 20}); err != nil {
		t.Fatal(err)
	}
	if err := u.PutPart(t.Context(), 2, text("tail")); err != nil {
		t.Fatal(err)
	}
	o, err := u.Commit(t.Context(), 2)
	if err != nil || o.Size != 5<<20+4 {
		t.Fatalf("%+v, %v", o, err)
	}
	after := blocksOf(t, s, "k")
	if len(after) != 4 || !slices.Equal(after[:2], before[:2]) {
		t.Errorf("blocks were %q, are %q", before, after)
	}
	body, _, err := s.Get(t.Context(), "k", objstore.All, objstore.Cond{})
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	var got bytes.Buffer
	if _, err := got.ReadFrom(body); err != nil || !bytes.Equal(got.Bytes(), append(whole[:5<<20:5<<20], "tail"...)) {
		t.Errorf("%d other bytes, %v", got.Len(), err)
	}
	if s.copies() {
		t.Error("it is not known that the endpoint cannot copy")
	}
}

func blocksOf(t *testing.T, s *Store, key string) (names []string) {
	t.Helper()
	list, err := s.blockBlob(key).GetBlockList(t.Context(), blockblob.BlockListTypeCommitted, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range list.CommittedBlocks {
		names = append(names, *b.Name)
	}
	return names
}

// What became of blocks that are gone is told by what is at the key.
func TestLostBlocks(t *testing.T) {
	for _, tt := range []struct {
		cond  objstore.Cond
		there *http.Response
		want  error
	}{
		{objstore.Cond{Version: "0x1"}, properties("1", nil), objstore.ErrOther}, // expired
		{objstore.Cond{Version: "0x9"}, properties("1", nil), objstore.ErrCond},
		{objstore.Cond{Absent: true}, properties("1", nil), objstore.ErrCond},
		{objstore.Cond{Absent: true}, refusal(404, "BlobNotFound", ""), objstore.ErrOther},
		{objstore.Cond{}, properties("1", nil), objstore.ErrCond},
	} {
		s, _ := played(t, func(r request) *http.Response {
			switch {
			case r.is("Get Blob Properties"):
				return tt.there
			case r.is("Get Block List"):
				return blockList("CommittedBlocks")
			case r.is("Put Block List"):
				return refusal(400, "InvalidBlockList", "The specified block list is invalid.")
			}
			return reply(201, nil, "")
		})
		u, err := s.NewUpload(t.Context(), "k", objstore.PutOptions{Cond: tt.cond})
		if err != nil {
			t.Fatal(err)
		}
		if err := u.PutPart(t.Context(), 1, text("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := u.Commit(t.Context(), 1); !errors.Is(err, tt.want) {
			t.Errorf("%+v: %v, want %v", tt.cond, err, tt.want)
		}
	}
}
