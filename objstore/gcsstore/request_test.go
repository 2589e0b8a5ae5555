package gcsstore

import (
	"encoding/base64"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pailfs/pailfs/objstore"
)

// What the emulator does not check is checked here in the requests themselves.

// service is a bucket that knows just enough to answer: generations, sizes and
// checksums, no bytes.
type service struct {
	mu      sync.Mutex
	objects map[string]map[string]any
	next    int
	class   string // of objects without one
}

func newService() *service {
	return &service{objects: map[string]map[string]any{}, next: 100, class: standard}
}

func (f *service) put(name string, attrs map[string]any) map[string]any {
	f.mu.Lock()
	defer f.mu.Unlock()
	o := map[string]any{"storageClass": f.class, "metageneration": "1", "timeCreated": "2026-01-02T03:04:05Z"}
	maps.Copy(o, attrs)
	f.next++
	o["name"], o["generation"] = name, strconv.Itoa(f.next)
	f.objects[name] = o
	return o
}

func (f *service) get(name string) map[string]any {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.objects[name]
}

func encodeCRC(crc uint32) string { return base64.StdEncoding.EncodeToString(bigEndian(crc)) }

func crcOf(body string) string { return encodeCRC(crc32.Checksum([]byte(body), castagnoli)) }

func (f *service) answer(r request) *http.Response {
	name := strings.TrimPrefix(r.path, "/storage/v1/b/b/o/")
	switch {
	case strings.HasPrefix(r.path, "/upload/"):
		attrs := maps.Clone(r.body)
		attrs["size"], attrs["crc32c"] = strconv.Itoa(len(r.media)), crcOf(r.media)
		return reply(200, f.put(r.query.Get("name"), attrs))
	case strings.HasSuffix(name, "/compose"):
		attrs, size := maps.Clone(r.body["destination"].(map[string]any)), 0
		for _, src := range r.body["sourceObjects"].([]any) {
			n, _ := strconv.Atoi(f.get(src.(map[string]any)["name"].(string))["size"].(string))
			size += n
		}
		attrs["size"] = strconv.Itoa(size)
		return reply(200, f.put(strings.TrimSuffix(name, "/compose"), attrs))
	case strings.Contains(name, "/rewriteTo/"):
		src, dst, _ := strings.Cut(name, "/rewriteTo/b/b/o/")
		attrs := maps.Clone(f.get(src))
		maps.Copy(attrs, r.body)
		return reply(200, map[string]any{"done": true, "resource": f.put(dst, attrs)})
	case r.method == http.MethodDelete:
		return reply(204, nil)
	case r.method == http.MethodPatch, r.method == http.MethodGet:
		if o := f.get(name); o != nil {
			return reply(200, o)
		}
		return refusal(404, "notFound", "No such object: b/"+name)
	}
	return nil
}

func TestPutSendsConditionAndChecksum(t *testing.T) {
	for want, cond := range map[string]objstore.Cond{"": {}, "0": {Absent: true}, "7": {Version: "7"}, "-1": {Version: "no number"}} {
		s, sc := played(t, newService().answer)
		o, err := s.Put(t.Context(), "k", section("body"), objstore.PutOptions{
			Cond: cond, ContentType: "text/plain", StorageClass: "NEARLINE", Metadata: map[string]string{"mode": "1"}})
		if err != nil {
			t.Fatal(err)
		}
		r := sc.all("POST", "/o")[0]
		if got := r.query.Get("ifGenerationMatch"); got != want {
			t.Errorf("%+v: ifGenerationMatch %q, want %q", cond, got, want)
		}
		if r.body["crc32c"] != crcOf("body") || r.body["storageClass"] != "NEARLINE" || r.body["contentType"] != "text/plain" ||
			r.media != "body" || r.query.Get("uploadType") != "multipart" {
			t.Errorf("sent %+v", r)
		}
		if len(sc.requests) != 1 || o.Version != "101" || o.StorageClass != "NEARLINE" {
			t.Errorf("%d requests gave %+v", len(sc.requests), o)
		}
	}
}

func TestDeleteAndCopySendConditions(t *testing.T) {
	f := newService()
	s, sc := played(t, f.answer)
	src := f.put("src", map[string]any{"size": "3", "crc32c": crcOf("src"), "contentType": "text/plain", "storageClass": "COLDLINE"})
	if err := s.Delete(t.Context(), "gone", objstore.Cond{Version: "9"}); err != nil {
		t.Fatal(err)
	}
	if got := sc.all("DELETE", "/gone")[0].query.Get("ifGenerationMatch"); got != "9" {
		t.Errorf("delete: ifGenerationMatch %q", got)
	}
	_, err := s.Copy(t.Context(), "dst", "src", objstore.CopyOptions{
		Src: objstore.Version(src["generation"].(string)), Dst: objstore.Cond{Absent: true}, Metadata: map[string]string{"n": "1"}})
	if err != nil {
		t.Fatal(err)
	}
	r := sc.all("POST", "/rewriteTo/b/b/o/dst")[0]
	if r.query.Get("ifGenerationMatch") != "0" || r.query.Get("ifSourceGenerationMatch") != src["generation"] {
		t.Errorf("copy: %v", r.query)
	}
	if d := cmp.Diff(map[string]any{"contentType": "text/plain", "storageClass": "COLDLINE", "metadata": map[string]any{"n": "1"}}, r.body); d != "" {
		t.Errorf("copy: (-want +got)\n%s", d)
	}
}

// A change of metadata names what goes, and holds only for what was looked at.
func TestRewriteMetadataIsOnePatch(t *testing.T) {
	f := newService()
	s, sc := played(t, f.answer)
	old := f.put("k", map[string]any{"size": "0", "metageneration": "5", "metadata": map[string]any{"mode": "1", "old.name": "x"}})
	o, err := s.Copy(t.Context(), "k", "k", objstore.CopyOptions{Metadata: map[string]string{"mode": "2"}})
	if err != nil {
		t.Fatal(err)
	}
	r := sc.all("PATCH", "/k")[0]
	if r.query.Get("ifGenerationMatch") != old["generation"] || r.query.Get("ifMetagenerationMatch") != "5" {
		t.Errorf("patch: %v", r.query)
	}
	if d := cmp.Diff(map[string]any{"metadata": map[string]any{"mode": "2", "old.name": nil}}, r.body); d != "" {
		t.Errorf("patch: (-want +got)\n%s", d)
	}
	if string(o.Version) != old["generation"] || !maps.Equal(o.Metadata, map[string]string{"mode": "2"}) {
		t.Errorf("patched: %+v", o)
	}
	// What is so already costs no write.
	if _, err := s.Copy(t.Context(), "k", "k", objstore.CopyOptions{Metadata: map[string]string{"mode": "1", "old.name": "x"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Copy(t.Context(), "k", "k", objstore.CopyOptions{Metadata: map[string]string{}}); err != nil {
		t.Fatal(err)
	}
	patches := sc.all("PATCH", "/k")
	if len(patches) != 2 || patches[1].body["metadata"] != nil || len(patches[1].body) != 1 {
		t.Errorf("patches: %+v", patches)
	}
}

// upload sends n parts and commits them.
func uploadParts(t *testing.T, s *Store, n int, opt objstore.PutOptions) objstore.Object {
	t.Helper()
	u, err := s.NewUpload(t.Context(), "k", opt)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if err := u.PutPart(t.Context(), i+1, section(fmt.Sprintf("part %d ", i+1))); err != nil {
			t.Fatal(err)
		}
	}
	o, err := u.Commit(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	s.removing.Wait()
	return o
}

// created are the names of all objects that requests made.
func created(sc *script) []string {
	var names []string
	for _, r := range sc.all("POST", "") {
		if name := r.query.Get("name"); name != "" {
			names = append(names, name)
			continue
		}
		path := strings.TrimPrefix(r.path, "/storage/v1/b/b/o/")
		if _, dst, ok := strings.Cut(path, "/rewriteTo/b/b/o/"); ok {
			names = append(names, dst)
		} else {
			names = append(names, strings.TrimSuffix(path, "/compose"))
		}
	}
	slices.Sort(names)
	return names
}

func TestUploadComposesATree(t *testing.T) {
	const parts = 70 // three runs of at most 32, then one compose
	s, sc := played(t, newService().answer)
	uploadParts(t, s, parts, objstore.PutOptions{Cond: objstore.Cond{Version: "7"}, Metadata: map[string]string{"mode": "1"}})

	var whole strings.Builder
	for i := range parts {
		fmt.Fprintf(&whole, "part %d ", i+1)
	}
	composes := sc.all("POST", "/compose")
	last := sc.all("POST", "/o/k/compose")
	if len(composes) != 4 || len(last) != 1 {
		t.Fatalf("%d composes, %d of the object", len(composes), len(last))
	}
	dest := last[0].body["destination"].(map[string]any)
	if last[0].query.Get("ifGenerationMatch") != "7" || dest["crc32c"] != crcOf(whole.String()) || dest["contentType"] != defaultType {
		t.Errorf("the last compose: %v %v", last[0].query, dest)
	}
	if d := cmp.Diff(map[string]any{"mode": "1"}, dest["metadata"]); d != "" {
		t.Errorf("metadata: (-want +got)\n%s", d)
	}
	for _, r := range composes {
		sources := r.body["sourceObjects"].([]any)
		if len(sources) > 32 {
			t.Errorf("a compose of %d", len(sources))
		}
		for _, src := range sources {
			if src.(map[string]any)["generation"] == nil {
				t.Errorf("a source of any generation: %v", src)
			}
		}
	}
	for _, r := range sc.all("POST", "/o") {
		if r.body["crc32c"] != crcOf(r.media) || r.query.Get("ifGenerationMatch") != "0" {
			t.Errorf("a part was sent with %v, %v", r.body, r.query)
		}
		if name := r.query.Get("name"); !strings.HasPrefix(name, DefaultPrivate) ||
			r.body["storageClass"] != standard && !strings.Contains(name, ".class-") {
			t.Errorf("part %q of class %v", name, r.body["storageClass"])
		}
	}
	wantRemoved(t, sc)
}

// wantRemoved checks that every object but the one of the upload was deleted.
func wantRemoved(t *testing.T, sc *script) {
	t.Helper()
	var deleted []string
	for _, r := range sc.all("DELETE", "") {
		deleted = append(deleted, strings.TrimPrefix(r.path, "/storage/v1/b/b/o/"))
	}
	slices.Sort(deleted)
	made := slices.DeleteFunc(created(sc), func(name string) bool { return name == "k" })
	if d := cmp.Diff(made, deleted); d != "" {
		t.Errorf("made and not deleted, or the other way: (-made +deleted)\n%s", d)
	}
}

// A composite has the class of its parts, which is Standard: one copy gives it
// that of the bucket, or that asked for.
func TestUploadOfAnotherClass(t *testing.T) {
	for name, opt := range map[string]objstore.PutOptions{
		"asked for":    {StorageClass: "NEARLINE", Cond: objstore.Cond{Absent: true}},
		"the bucket's": {Cond: objstore.Cond{Absent: true}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newService()
			f.class = "NEARLINE"
			s, sc := played(t, f.answer)
			if o := uploadParts(t, s, 3, opt); o.StorageClass != "NEARLINE" {
				t.Errorf("the object has class %q", o.StorageClass)
			}
			r := sc.all("POST", "/rewriteTo/b/b/o/k")
			if len(r) != 1 || r[0].query.Get("ifGenerationMatch") != "0" || r[0].body["storageClass"] != "NEARLINE" {
				t.Fatalf("rewrites: %+v", r)
			}
			if c := sc.all("POST", "/compose"); len(c) != 1 || strings.HasSuffix(c[0].path, "/o/k/compose") {
				t.Errorf("composes: %+v", c)
			}
			wantRemoved(t, sc)
		})
	}
}

// An append moves its tail alone, however the copied part is cut.
func TestAppendComposesTheExisting(t *testing.T) {
	f := newService()
	s, sc := played(t, f.answer)
	old := f.put("k", map[string]any{"size": "10", "crc32c": crcOf("0123456789")})
	v := objstore.Version(old["generation"].(string))
	u, err := s.NewUpload(t.Context(), "k", objstore.PutOptions{Cond: objstore.Cond{Version: v}})
	if err != nil {
		t.Fatal(err)
	}
	c := u.(objstore.PartCopier)
	for n, r := range map[int]objstore.Range{1: {Off: 0, Len: 4}, 2: {Off: 4, Len: 6}} {
		if err := c.CopyPart(t.Context(), n, "k", v, r); err != nil {
			t.Fatal(err)
		}
	}
	if err := u.PutPart(t.Context(), 3, section("tail")); err != nil {
		t.Fatal(err)
	}
	if _, err := u.Commit(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	s.removing.Wait()
	r := sc.all("POST", "/o/k/compose")
	if len(r) != 1 {
		t.Fatalf("%d composes", len(r))
	}
	src := r[0].body["sourceObjects"].([]any)
	dest := r[0].body["destination"].(map[string]any)
	if len(src) != 2 || src[0].(map[string]any)["name"] != "k" || src[0].(map[string]any)["generation"] != old["generation"] ||
		r[0].query.Get("ifGenerationMatch") != old["generation"] || dest["crc32c"] != crcOf("0123456789tail") {
		t.Errorf("composed %v of %v", r[0].query, r[0].body)
	}
	for _, r := range sc.requests {
		if r.query.Get("alt") == "media" || r.method == "GET" && !strings.HasPrefix(r.path, "/storage/") {
			t.Errorf("a download: %+v", r)
		}
	}
}

func TestReadSendsCondition(t *testing.T) {
	s, sc := played(t, func(r request) *http.Response {
		return &http.Response{StatusCode: 206, ContentLength: 3, Body: io.NopCloser(strings.NewReader("234")), Header: http.Header{
			"Content-Range": {"bytes 2-4/10"}, "X-Goog-Generation": {"7"}, "X-Goog-Meta-Mode": {"1"},
			"Last-Modified": {"Fri, 02 Jan 2026 03:04:05 GMT"}}}
	})
	body, o, err := s.Get(t.Context(), "a b", objstore.Range{Off: 2, Len: 3}, objstore.Cond{Version: "7"})
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if got, err := io.ReadAll(body); string(got) != "234" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	h := sc.requests[0].header
	if h.Get("X-Goog-If-Generation-Match") != "7" || h.Get("Range") != "bytes=2-4" || h.Get("Accept-Encoding") != "gzip" ||
		sc.requests[0].path != "/b/a b" {
		t.Errorf("%s with %v", sc.requests[0].path, h)
	}
	if len(sc.requests) != 1 || o.Size != 10 || o.Version != "7" || !maps.Equal(o.Metadata, map[string]string{"mode": "1"}) {
		t.Errorf("%d requests gave %+v", len(sc.requests), o)
	}
}

func TestReadChecksTheWhole(t *testing.T) {
	s, _ := played(t, func(r request) *http.Response {
		return &http.Response{StatusCode: 200, ContentLength: 4, Body: io.NopCloser(strings.NewReader("bodx")), Header: http.Header{
			"X-Goog-Generation": {"7"}, "X-Goog-Hash": {"crc32c=" + crcOf("body")}}}
	})
	body, _, err := s.Get(t.Context(), "k", objstore.All, objstore.Cond{})
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if _, err = io.ReadAll(body); !errors.Is(err, objstore.ErrChecksum) {
		t.Errorf("read: %v", err)
	}
}

func TestUserProjectIsBilled(t *testing.T) {
	f := newService()
	f.put("k", map[string]any{"size": "0", "metadata": map[string]any{"a": "1"}})
	s, sc := played(t, f.answer, func(c *Config) { c.UserProject = "pays" })
	uploadParts(t, s, 2, objstore.PutOptions{})
	if _, err := s.Copy(t.Context(), "k", "k", objstore.CopyOptions{Metadata: map[string]string{"b": "1"}}); err != nil {
		t.Fatal(err)
	}
	for _, r := range sc.requests {
		if r.query.Get("userProject") != "pays" {
			t.Errorf("%s %s: %v", r.method, r.path, r.query)
		}
	}
}

func TestCombine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "a")
		b := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "b")
		want := crc32.Checksum(slices.Concat(a, b), castagnoli)
		if got := combine(crc32.Checksum(a, castagnoli), crc32.Checksum(b, castagnoli), int64(len(b))); got != want {
			t.Errorf("%08x, want %08x", got, want)
		}
	})
}

// A page may be empty and still have a next one: that is no end, and no beginning.
func TestEmptyPages(t *testing.T) {
	s, _ := played(t, func(r request) *http.Response {
		switch r.query.Get("pageToken") {
		case "":
			return reply(200, map[string]any{"nextPageToken": "one"})
		case "one": // ours, which are not shown
			return reply(200, map[string]any{"nextPageToken": "two", "items": []any{map[string]any{"name": DefaultPrivate + "x", "generation": "1"}}})
		case "two":
			return reply(200, map[string]any{"nextPageToken": "three", "items": []any{map[string]any{"name": "k", "generation": "7"}}})
		}
		return reply(200, map[string]any{})
	})
	got, err := s.List(t.Context(), objstore.ListRequest{Max: 1})
	if err != nil || len(got.Objects) != 1 || got.Objects[0].Version != "7" || got.Next != "three" {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := s.List(t.Context(), objstore.ListRequest{Token: "three"}); err != nil || len(got.Objects) != 0 || got.Next != "" {
		t.Errorf("the end: %+v, %v", got, err)
	}
}
