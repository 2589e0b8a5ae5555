package gcsstore

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/pailfs/pailfs/objstore"
)

// moving adds objects.move to the service.
func moving(f *service, answer func(request) *http.Response) func(request) *http.Response {
	return func(r request) *http.Response {
		src, dst, ok := strings.Cut(strings.TrimPrefix(r.path, "/storage/v1/b/b/o/"), "/moveTo/o/")
		if !ok {
			return answer(r)
		}
		o := f.put(dst, f.get(src))
		f.mu.Lock()
		delete(f.objects, src)
		f.mu.Unlock()
		return reply(200, o)
	}
}

func TestRenameMoves(t *testing.T) {
	f := newService()
	flat, sc := played(t, moving(f, f.answer))
	s := flat.renaming()
	if _, ok := objstore.Store(flat).(objstore.Renamer); ok || flat.Caps().AtomicRename || !s.Caps().AtomicRename {
		t.Error("renaming is for a hierarchical namespace, and only that")
	}
	old := f.put("src", map[string]any{"size": "3", "crc32c": crcOf("src"), "metadata": map[string]any{"a": "1"}})
	v := objstore.Version(old["generation"].(string))
	if _, err := s.Rename(t.Context(), "dst", "src", objstore.CopyOptions{Src: "1"}); !errors.Is(err, objstore.ErrCond) {
		t.Errorf("rename of another version: %v", err)
	}
	o, err := s.Rename(t.Context(), "dst", "src", objstore.CopyOptions{Src: v, Dst: objstore.Cond{Absent: true}})
	if err != nil {
		t.Fatal(err)
	}
	r := sc.all("POST", "/o/src/moveTo/o/dst")
	if len(r) != 1 || r[0].query.Get("ifSourceGenerationMatch") != string(v) || r[0].query.Get("ifGenerationMatch") != "0" {
		t.Errorf("moves: %+v", r)
	}
	if o.Key != "dst" || o.Size != 3 || o.Metadata["a"] != "1" {
		t.Errorf("moved: %+v", o)
	}
	if _, err := s.Rename(t.Context(), "x", "src", objstore.CopyOptions{}); !errors.Is(err, objstore.ErrNotFound) {
		t.Errorf("rename of nothing: %v", err)
	}
}

func TestRenameWithMetadata(t *testing.T) {
	f := newService()
	flat, sc := played(t, moving(f, f.answer))
	f.put("src", map[string]any{"size": "3", "crc32c": crcOf("src")})
	if _, err := flat.renaming().Rename(t.Context(), "dst", "src", objstore.CopyOptions{Metadata: map[string]string{"a": "2"}}); err != nil {
		t.Fatal(err)
	}
	if patch := sc.all("PATCH", "/o/src"); len(patch) != 1 || len(sc.all("POST", "/moveTo/o/dst")) != 1 {
		t.Errorf("patches: %+v", patch)
	}
}

// A move whose answer was lost meets no source when it is tried again.
func TestLostAnswerOfARename(t *testing.T) {
	f := newService()
	lost := false
	s, _ := played(t, func(r request) *http.Response {
		if !strings.Contains(r.path, "/moveTo/") {
			return f.answer(r)
		}
		if lost {
			return refusal(404, "notFound", "No such object: b/src")
		}
		lost = true
		moving(f, f.answer)(r)
		return broken
	})
	f.put("src", map[string]any{"size": "3", "crc32c": crcOf("src")})
	if o, err := s.renaming().Rename(t.Context(), "dst", "src", objstore.CopyOptions{}); err != nil || o.Key != "dst" {
		t.Errorf("%+v, %v", o, err)
	}
}

func TestHierarchicalIsAsked(t *testing.T) {
	for want, layout := range map[bool]*http.Response{
		true:  reply(200, map[string]any{"hierarchicalNamespace": map[string]any{"enabled": true}}),
		false: refusal(403, "forbidden", ""),
	} {
		s, sc := played(t, func(request) *http.Response { return layout }, func(c *Config) { c.Private = "p/" + DefaultPrivate })
		if got := s.hierarchical(t.Context()); got != want {
			t.Errorf("%v, want %v", got, want)
		}
		r := sc.requests[0]
		if r.path != "/storage/v1/b/b/storageLayout" || r.query.Get("prefix") != "p/" || len(r.query) > len(url.Values{"prefix": nil, "alt": nil, "prettyPrint": nil}) {
			t.Errorf("asked %s %v", r.path, r.query)
		}
	}
}
