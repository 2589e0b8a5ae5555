package azstore

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc64"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/minio/crc64nvme"

	"github.com/pailfs/pailfs/objstore"
)

// What the emulator does not check is checked here in the requests themselves.

const bodyMD5 = "hBotaJrYa9FhFEdFPCLG/A==" // of "body"

func created(request) *http.Response { return reply(201, nil, "") }

// nvme is the polynomial of the service's CRC-64, bits reflected
// (shared.CRC64Polynomial in the SDK).
const nvme = 0x9A6C9329AC4BC9B5

func crcOf(body string) string {
	return base64.StdEncoding.EncodeToString(binary.LittleEndian.AppendUint64(nil, crc64.Checksum([]byte(body), crc64.MakeTable(nvme))))
}

// The check value of CRC-64/NVME for "123456789" (reveng's catalogue).
func TestPolynomial(t *testing.T) {
	if got := crc64nvme.Checksum([]byte("123456789")); got != 0xAE8B14860A799888 {
		t.Errorf("%#x", got)
	}
}

func TestPutSendsConditionChecksumAndTier(t *testing.T) {
	for _, tt := range []struct {
		cond            objstore.Cond
		match, nonMatch string
	}{
		{objstore.Cond{}, "", ""},
		{objstore.Cond{Absent: true}, "", "*"},
		{objstore.Cond{Version: "0x8D"}, `"0x8D"`, ""},
	} {
		s, sc := played(t, created)
		o, err := s.Put(t.Context(), "d/k ö", text("body"), objstore.PutOptions{
			Cond: tt.cond, ContentType: "text/plain", StorageClass: "cool", Metadata: map[string]string{"mode": "1", "user-x": ""}})
		if err != nil {
			t.Fatal(err)
		}
		r := sc.one(t, "Put Blob")
		if r.path != "d/k ö" || r.body != "body" || r.header.Get("If-Match") != tt.match || r.header.Get("If-None-Match") != tt.nonMatch {
			t.Errorf("%+v: %+v", tt.cond, r)
		}
		for k, want := range map[string]string{
			"x-ms-content-crc64": crcOf("body"), "Content-Md5": "", "x-ms-access-tier": "Cool", "x-ms-blob-content-type": "text/plain",
			"x-ms-blob-type": "BlockBlob", "x-ms-meta-mode": "1", "x-ms-meta-user_x002d_x": "=?UTF-8?B??=",
		} {
			if got := r.header.Get(k); got != want {
				t.Errorf("%s: %q, want %q", k, got, want)
			}
		}
		if o.Version != "0x1" || o.StorageClass != "Cool" || o.ModTime.IsZero() {
			t.Errorf("%+v", o)
		}
	}
}

func TestElsewhereTheChecksumIsMD5(t *testing.T) {
	s, sc := played(t, created, func(c *Config) { c.Endpoint = "http://127.0.0.1:1/acc" })
	if _, err := s.Put(t.Context(), "k", text("body"), objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if r := sc.one(t, "Put Blob"); r.header.Get("Content-MD5") != bodyMD5 || r.header.Get("x-ms-content-crc64") != "" {
		t.Errorf("%v", r.header)
	}
}

func TestWrongChecksumIsNotSent(t *testing.T) {
	s, sc := played(t, created)
	_, err := s.Put(t.Context(), "k", text("body"), objstore.PutOptions{Checksums: objstore.Checksums{CRC64NVME: make([]byte, 8)}})
	if !errors.Is(err, objstore.ErrChecksum) || len(sc.requests) > 0 {
		t.Errorf("%v, %d requests", err, len(sc.requests))
	}
}

// properties are the answer to HEAD for an object of some bytes.
func properties(size string, more map[string]string) *http.Response {
	h := map[string]string{"Content-Length": size, "Content-Type": "text/plain", "x-ms-access-tier": "Cool", "x-ms-meta-own": "1"}
	for k, v := range more {
		h[k] = v
	}
	resp := reply(200, h, "")
	return resp
}

func TestCopySendsSourceAndConditions(t *testing.T) {
	answer := func(r request) *http.Response {
		if r.is("Get Blob Properties") {
			return properties("3", nil)
		}
		return reply(201, map[string]string{"ETag": `"0x2"`}, "")
	}
	s, sc := played(t, answer)
	s.now = func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }
	o, err := s.Copy(t.Context(), "dst", "d/src", objstore.CopyOptions{Src: "0x1", Dst: objstore.Cond{Absent: true}, Metadata: map[string]string{"n": "1"}})
	if err != nil {
		t.Fatal(err)
	}
	r := sc.one(t, "Put Blob From URL")
	src, err := url.Parse(r.header.Get("x-ms-copy-source"))
	if err != nil {
		t.Fatal(err)
	}
	q := src.Query()
	if src.Host != "acc.blob.core.windows.net" || src.Path != "/cont/d/src" || q.Get("sp") != "r" || q.Get("sr") != "b" || q.Get("sig") == "" ||
		q.Get("se") != "2026-01-03T03:04:05Z" {
		t.Errorf("source %v", src)
	}
	if h := r.header; h.Get("x-ms-source-if-match") != `"0x1"` || h.Get("If-None-Match") != "*" || h.Get("x-ms-access-tier") != "Cool" || h.Get("x-ms-meta-n") != "1" {
		t.Errorf("%v", h)
	}
	if o.Version != "0x2" || o.Size != 3 || o.ContentType != "text/plain" || o.StorageClass != "Cool" || len(o.Metadata) != 1 {
		t.Errorf("%+v", o)
	}
	if _, err := s.Copy(t.Context(), "dst", "d/src", objstore.CopyOptions{Src: "0x9"}); !errors.Is(err, objstore.ErrCond) {
		t.Errorf("of another version: %v", err)
	}
}

// With a shared access signature the source is named with it, with a token by one.
func TestCopySourceIsAuthorized(t *testing.T) {
	s, _ := played(t, created, func(c *Config) { c.AccountKey, c.SAS = "", "sv=1&sp=rw&sig=S%2B" })
	src, err := s.source(t.Context(), "a b")
	if err != nil || !strings.HasSuffix(src.url, "/cont/a%20b?sv=1&sp=rw&sig=S%2B") && !strings.Contains(src.url, "sig=S%2B") {
		t.Errorf("%+v, %v", src, err)
	}
	s, _ = played(t, created)
	s.key, s.token = nil, fakeToken{token: "T"}
	src, err = s.source(t.Context(), "k")
	if err != nil || src.authorization == nil || *src.authorization != "Bearer T" || strings.Contains(src.url, "?") {
		t.Errorf("%+v, %v", src, err)
	}
}

// A copy without metadata has those of its source: none must be asked for apart.
func TestCopyWithoutMetadata(t *testing.T) {
	s, sc := played(t, func(r request) *http.Response {
		switch {
		case r.is("Get Blob Properties"):
			return properties("3", nil)
		case r.is("Set Blob Metadata"):
			return reply(200, nil, "")
		}
		return reply(201, nil, "")
	})
	if _, err := s.Copy(t.Context(), "dst", "src", objstore.CopyOptions{Metadata: map[string]string{}}); err != nil {
		t.Fatal(err)
	}
	if r := sc.one(t, "Set Blob Metadata"); r.path != "dst" || r.header.Get("If-Match") != `"0x1"` {
		t.Errorf("%+v", r)
	}
}

func TestRewriteOfMetadataIsInPlace(t *testing.T) {
	s, sc := played(t, func(r request) *http.Response {
		if r.is("Get Blob Properties") {
			return properties("3", nil)
		}
		return reply(200, map[string]string{"ETag": `"0x2"`}, "")
	})
	o, err := s.Copy(t.Context(), "k", "k", objstore.CopyOptions{Src: "0x1", Metadata: map[string]string{"mode": "2"}})
	if err != nil || o.Version != "0x2" || o.Metadata["mode"] != "2" || o.Size != 3 {
		t.Fatalf("%+v, %v", o, err)
	}
	if r := sc.one(t, "Set Blob Metadata"); r.header.Get("If-Match") != `"0x1"` {
		t.Errorf("%v", r.header)
	}
	for _, opt := range []objstore.CopyOptions{{Src: "0x9"}, {Dst: objstore.Cond{Absent: true}}, {Dst: objstore.Cond{Version: "0x9"}}} {
		opt.Metadata = map[string]string{"mode": "2"}
		if _, err := s.Copy(t.Context(), "k", "k", opt); !errors.Is(err, objstore.ErrCond) {
			t.Errorf("%+v: %v", opt, err)
		}
	}
}

// An answer that was lost is settled by looking; that of somebody else is not
// taken for ours.
func TestLostAnswer(t *testing.T) {
	for name, there := range map[string]map[string]string{
		"ours":   {"x-ms-meta-own": "", "x-ms-meta-id": "me", "x-ms-access-tier": "Hot"},
		"theirs": {"x-ms-meta-own": "", "x-ms-meta-id": "them"},
	} {
		first := true
		s, sc := played(t, func(r request) *http.Response {
			switch {
			case r.is("Get Blob Properties"):
				resp := properties("4", there)
				resp.Header.Del("x-ms-meta-own")
				return resp
			case first:
				first = false
				return broken
			}
			return refusal(409, "BlobAlreadyExists", "The specified blob already exists.")
		})
		o, err := s.Put(t.Context(), "k", text("body"), objstore.PutOptions{
			Cond: objstore.Cond{Absent: true}, ContentType: "text/plain", Metadata: map[string]string{"id": "me"}})
		if name == "ours" && (err != nil || o.Version != "0x1") || name == "theirs" && !errors.Is(err, objstore.ErrCond) {
			t.Errorf("%s: %+v, %v", name, o, err)
		}
		if n := len(sc.all("Put Blob")); n != 2 {
			t.Errorf("%s: %d requests", name, n)
		}
	}
	// Without a lost answer nobody looks.
	s, sc := played(t, func(request) *http.Response { return refusal(409, "BlobAlreadyExists", "") })
	_, err := s.Put(t.Context(), "k", text("body"), objstore.PutOptions{Cond: objstore.Cond{Absent: true}, Metadata: map[string]string{"id": "me"}})
	if !errors.Is(err, objstore.ErrCond) || len(sc.requests) != 1 {
		t.Errorf("%v, %d requests", err, len(sc.requests))
	}
	// A delete that was carried out, and answered to in vain.
	first := true
	s, _ = played(t, func(request) *http.Response {
		if first {
			first = false
			return broken
		}
		return refusal(404, "BlobNotFound", "")
	})
	if err := s.Delete(t.Context(), "k", objstore.Cond{Version: "0x1"}); err != nil {
		t.Errorf("delete: %v", err)
	}
}

func TestRetries(t *testing.T) {
	for _, tt := range []struct {
		resp *http.Response
		want int
	}{
		{broken, 3}, {refusal(503, "ServerBusy", ""), 3}, {refusal(500, "OperationTimedOut", ""), 3}, {refusal(429, "", ""), 3},
		{refusal(400, "InvalidInput", ""), 1}, {refusal(403, "AuthorizationFailure", ""), 1}, {refusal(404, "BlobNotFound", ""), 1},
		{refusal(412, "ConditionNotMet", ""), 1}, {refusal(400, "Crc64Mismatch", ""), 1},
	} {
		s, sc := played(t, func(request) *http.Response {
			if tt.resp == broken {
				return broken
			}
			again := *tt.resp
			return &again
		})
		if _, err := s.Stat(t.Context(), "k"); err == nil || len(sc.requests) != tt.want {
			t.Errorf("%v: %d requests, %v", tt.resp, len(sc.requests), err)
		}
	}
	s, sc := played(t, func(request) *http.Response { return broken }, func(c *Config) { c.Retry.Attempts = 1 })
	if _, err := s.Stat(t.Context(), "k"); !errors.Is(err, objstore.ErrTransient) || len(sc.requests) != 1 {
		t.Errorf("one attempt: %d requests, %v", len(sc.requests), err)
	}
}

// A range that can have a checksum of its own has one, and it is compared; a whole
// object is compared with that of its properties. Nobody is asked for two.
func TestReadsAreChecked(t *testing.T) {
	const md5Header, crcHeader = "x-ms-range-get-content-md5", "x-ms-range-get-content-crc64"
	emulator := func(c *Config) { c.Endpoint = "http://127.0.0.1:1/acc" }
	get := func(body string, r objstore.Range, where func(*Config)) (request, error) {
		s, sc := played(t, func(q request) *http.Response {
			h := map[string]string{"Content-Type": "text/plain"}
			if r.Len < 0 || q.header.Get(md5Header) == "true" {
				h["Content-MD5"] = bodyMD5
			}
			if q.header.Get(crcHeader) == "true" {
				h["x-ms-content-crc64"] = crcOf("body")
			}
			if r.Len > 0 {
				h["Content-Range"] = "bytes 0-3/100"
				return reply(206, h, body)
			}
			return reply(200, h, body)
		}, where)
		b, _, err := s.Get(t.Context(), "k", r, objstore.Cond{Version: "0x1"})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		_, err = io.ReadAll(b)
		return sc.requests[0], err
	}
	part := objstore.Range{Off: 0, Len: 4}
	for _, tt := range []struct {
		r        objstore.Range
		where    func(*Config)
		md5, crc string
	}{
		{objstore.All, func(*Config) {}, "", ""},
		{part, func(*Config) {}, "", "true"},
		{part, emulator, "true", ""},
		{objstore.Range{Off: 0, Len: maxChecked}, func(*Config) {}, "", "true"},
	} {
		req, err := get("body", tt.r, tt.where)
		if err != nil {
			t.Errorf("%+v: %v", tt.r, err)
		}
		if h := req.header; h.Get(md5Header) != tt.md5 || h.Get(crcHeader) != tt.crc || h.Get("If-Match") != `"0x1"` {
			t.Errorf("%+v: %v", tt.r, h)
		}
		if _, err := get("bodY", tt.r, tt.where); !errors.Is(err, objstore.ErrChecksum) {
			t.Errorf("%+v: other bytes: %v", tt.r, err)
		}
	}
	s, sc := played(t, func(request) *http.Response { return refusal(404, "BlobNotFound", "") })
	s.Get(t.Context(), "k", objstore.Range{Off: 0, Len: maxChecked + 1}, objstore.Cond{})
	if h := sc.requests[0].header; h.Get(md5Header)+h.Get(crcHeader) != "" {
		t.Error("a range too long for it asks for a checksum")
	}
}

// A page may be empty and still have a next one: that is no end, and no beginning.
func TestEmptyPages(t *testing.T) {
	page := func(blobs, next string) *http.Response {
		return reply(200, map[string]string{"Content-Type": "application/xml"},
			`<?xml version="1.0"?><EnumerationResults><Blobs>`+blobs+`</Blobs><NextMarker>`+next+`</NextMarker></EnumerationResults>`)
	}
	const blob = `<Blob><Name>d/k</Name><Properties><Etag>0x1</Etag><Content-Length>5</Content-Length><AccessTier>Cool</AccessTier></Properties>` +
		`<Metadata><mode>1</mode><user_x002d_x>=?UTF-8?B??=</user_x002d_x></Metadata></Blob>`
	for _, delim := range []string{"", "/"} {
		s, sc := played(t, func(r request) *http.Response {
			switch r.query.Get("marker") {
			case "":
				return page("", "one")
			case "one":
				return page(blob, "two")
			}
			return page("", "")
		})
		got, err := s.List(t.Context(), objstore.ListRequest{Prefix: "d/", Delim: delim, Max: 7})
		if err != nil || len(got.Objects) != 1 || got.Next != "two" {
			t.Fatalf("%+v, %v", got, err)
		}
		o := got.Objects[0]
		if o.Key != "d/k" || o.Version != "0x1" || o.Size != 5 || o.StorageClass != "Cool" || o.Metadata["mode"] != "1" || len(o.Metadata) != 2 {
			t.Errorf("%+v", o)
		}
		if v, ok := o.Metadata["user-x"]; !ok || v != "" {
			t.Errorf("%q", o.Metadata)
		}
		if q := sc.requests[0].query; q.Get("maxresults") != "7" || q.Get("prefix") != "d/" || q.Get("delimiter") != delim || q.Get("include") != "metadata" {
			t.Errorf("%v", q)
		}
		if got, err := s.List(t.Context(), objstore.ListRequest{Token: "two", Delim: delim}); err != nil || len(got.Objects) != 0 || got.Next != "" {
			t.Errorf("the end: %+v, %v", got, err)
		}
	}
}

func TestHierarchicalNamespaceIsRefused(t *testing.T) {
	for value, want := range map[string]error{"true": objstore.ErrUnsupported, "false": nil, "": nil} {
		s, _ := played(t, func(request) *http.Response { return reply(200, map[string]string{"x-ms-is-hns-enabled": value}, "") })
		if err := s.checkFlat(t.Context()); !errors.Is(err, want) {
			t.Errorf("%q: %v", value, err)
		}
	}
	s, _ := played(t, func(request) *http.Response { return refusal(403, "AuthorizationPermissionMismatch", "") })
	if err := s.checkFlat(t.Context()); err != nil {
		t.Errorf("who may not ask: %v", err)
	}
}
