package servers

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestGCSEndsWithItsLastUser(t *testing.T) {
	var ep GCSEndpoint
	t.Run("users", func(t *testing.T) {
		ep = GCS(t)
		if second := GCS(t); ep != second {
			t.Fatalf("two servers: %v and %v", ep.URL, second.URL)
		}
		GCSBucket(t, ep)
	})
	for _, url := range []string{ep.URL, ep.Raw} {
		if conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://")); err == nil {
			conn.Close()
			t.Errorf("%s still listens", url)
		}
	}
}

// fronted makes one request at the front and returns its status.
func fronted(t *testing.T, ep GCSEndpoint, method, path, body string) (int, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, ep.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var out bytes.Buffer
	if _, err := out.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	json.Unmarshal(out.Bytes(), &v) // not every answer is JSON
	return resp.StatusCode, v
}

func TestGCSFront(t *testing.T) {
	ep := GCS(t)
	bucket := GCSBucket(t, ep)
	objects := "/storage/v1/b/" + bucket + "/o"
	put := func(name, query string) int {
		code, _ := fronted(t, ep, "POST", "/upload"+objects+"?uploadType=media&name="+url.QueryEscape(name)+query, name)
		return code
	}
	for _, name := range []string{"a", "d/x", "d/y", "e"} {
		if code := put(name, "&ifGenerationMatch=0"); code != 200 {
			t.Fatalf("put %s: %d", name, code)
		}
	}
	_, a := fronted(t, ep, "GET", objects+"/a", "")
	gen := fmt.Sprint(a["generation"])
	const compose = `{"sourceObjects":[{"name":"a","generation":"%s"}],"destination":{"contentType":"x/y"}}`
	for _, tt := range []struct {
		method, path, body string
		want               int
	}{
		{"POST", objects + "/e/compose?ifGenerationMatch=1", fmt.Sprintf(compose, gen), 412},
		{"POST", objects + "/n/compose?ifGenerationMatch=1", fmt.Sprintf(compose, gen), 412},
		{"POST", objects + "/e/compose", fmt.Sprintf(compose, "1"), 404},
		{"POST", objects + "/e/compose", fmt.Sprintf(compose, gen), 200},
		{"POST", objects + "/a/rewriteTo/b/" + bucket + "/o/e?ifGenerationMatch=0", "{}", 412},
		{"POST", objects + "/a/rewriteTo/b/" + bucket + "/o/e?ifSourceGenerationMatch=1", "{}", 412},
		{"PATCH", objects + "/a?ifGenerationMatch=1", `{"metadata":{"k":"v"}}`, 412},
		{"DELETE", objects + "/a?ifGenerationMatch=1", "", 412},
		{"DELETE", objects + "/n?ifGenerationMatch=1", "", 404},
		{"GET", objects + "/a?alt=media&ifGenerationMatch=1", "", 412},
		{"GET", objects + "/a?alt=media&ifGenerationMatch=" + gen, "", 200},
		{"PATCH", objects + "/a?ifGenerationMatch=" + gen, `{"metadata":{"k":"v","l":"w"}}`, 200},
		{"PATCH", objects + "/a", `{"metadata":{"k":null}}`, 200},
	} {
		if code, _ := fronted(t, ep, tt.method, tt.path, tt.body); code != tt.want {
			t.Errorf("%s %s: %d, want %d", tt.method, tt.path, code, tt.want)
		}
	}
	_, a = fronted(t, ep, "GET", objects+"/a", "")
	if m, _ := a["metadata"].(map[string]any); a["generation"] != gen || len(m) != 1 || m["l"] != "w" {
		t.Errorf("patched: %v", a)
	}
	if _, e := fronted(t, ep, "GET", objects+"/e", ""); e["contentType"] != "x/y" {
		t.Errorf("composed: %v", e)
	}

	var seen []string
	for token, n := "", 0; n < 10; n++ {
		_, page := fronted(t, ep, "GET", objects+"?delimiter=/&maxResults=1&pageToken="+token, "")
		for _, item := range anySlice(page["items"]) {
			seen = append(seen, fmt.Sprint(item.(map[string]any)["name"]))
		}
		for _, prefix := range anySlice(page["prefixes"]) {
			seen = append(seen, fmt.Sprint(prefix))
		}
		if token, _ = page["nextPageToken"].(string); token == "" {
			break
		}
	}
	if !slices.Equal(seen, []string{"a", "d/", "e"}) {
		t.Errorf("listed by one: %q", seen)
	}
	if names, err := GCSObjects(context.WithoutCancel(t.Context()), ep, bucket); err != nil || len(names) != 4 {
		t.Errorf("%q, %v", names, err)
	}
}

func anySlice(v any) []any {
	s, _ := v.([]any)
	return s
}
