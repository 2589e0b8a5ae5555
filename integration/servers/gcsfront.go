package servers

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// gcsFront stands before fake-gcs-server v1.56.1 and adds what that lacks of
// Cloud Storage (cloud.google.com/storage/docs/json_api/v1/objects):
//
//   - preconditions on compose, rewrite, patch, delete and reads, and those of
//     the sources of compose and rewrite;
//   - 404, not 500, for a compose of what is not there;
//   - a compose over an object takes the content type asked for, and has the
//     CRC32C that it was promised;
//   - a rewrite whose body names attributes leaves out the metadata it does not
//     name, and takes the storage class;
//   - a patch deletes the metadata that it sets to null;
//   - pages of a listing that count prefixes.
//
// Writes of one object wait for each other, so that a condition and what it
// guards are one step.
type gcsFront struct {
	backend string
	proxy   *httputil.ReverseProxy

	mu    sync.Mutex
	locks map[string]*gcsLock // by bucket and object
}

type gcsLock struct {
	sync.Mutex
	users int // guarded by gcsFront.mu
}

func newGCSFront(backend string) *gcsFront {
	target, err := url.Parse(backend)
	if err != nil {
		panic(err) // an address that we made ourselves
	}
	f := &gcsFront{backend: backend, locks: map[string]*gcsLock{}}
	f.proxy = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // the links of the answers lead to the front
		},
		ModifyResponse: wantGeneration,
		Transport:      &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true},
		ErrorHandler:   func(w http.ResponseWriter, _ *http.Request, _ error) { panic(http.ErrAbortHandler) },
	}
	return f
}

func (f *gcsFront) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	seg := strings.Split(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/")
	for i := range seg {
		seg[i], _ = url.PathUnescape(seg[i])
	}
	if seg[0] == "upload" && len(seg) == 6 { // upload/storage/v1/b/BUCKET/o
		defer f.lock(seg[4], q.Get("name"))()
		f.proxy.ServeHTTP(w, r)
		return
	}
	if seg[0] != "storage" || len(seg) < 5 || seg[4] != "o" { // storage/v1/b/BUCKET/o[/OBJECT...]
		f.proxy.ServeHTTP(w, r)
		return
	}
	c := &gcsRequest{f: f, r: r, q: q, bucket: seg[3]}
	if len(seg) > 5 {
		c.object = seg[5]
	}
	switch {
	case len(seg) == 5 && r.Method == http.MethodGet:
		c.answer(w, c.list)
	case len(seg) == 6 && r.Method == http.MethodPatch:
		defer f.lock(c.bucket, c.object)()
		c.answer(w, c.patch)
	case len(seg) == 6 && r.Method == http.MethodDelete:
		defer f.lock(c.bucket, c.object)()
		if err := c.check("", c.object, http.StatusNotFound); err != nil {
			refuse(w, err)
			return
		}
		f.proxy.ServeHTTP(w, r)
	case len(seg) == 7 && seg[6] == "compose":
		defer f.lock(c.bucket, c.object)()
		c.answer(w, c.compose)
	case len(seg) == 11 && seg[6] == "rewriteTo": // OBJECT/rewriteTo/b/BUCKET/o/OBJECT
		defer f.lock(seg[8], seg[10])()
		c.answer(w, func() (any, error) { return c.rewrite(seg[10]) })
	default:
		f.proxy.ServeHTTP(w, r)
	}
}

// lock waits for the other writers of one object.
func (f *gcsFront) lock(bucket, object string) (unlock func()) {
	name := bucket + "/" + object
	f.mu.Lock()
	l := f.locks[name]
	if l == nil {
		l = new(gcsLock)
		f.locks[name] = l
	}
	l.users++
	f.mu.Unlock()
	l.Lock()
	return func() {
		l.Unlock()
		f.mu.Lock()
		defer f.mu.Unlock()
		if l.users--; l.users == 0 {
			delete(f.locks, name)
		}
	}
}

// wantGeneration refuses a read of another generation than that asked for.
func wantGeneration(resp *http.Response) error {
	want := resp.Request.Header.Get("X-Goog-If-Generation-Match")
	if want == "" {
		want = resp.Request.URL.Query().Get("ifGenerationMatch")
	}
	got := resp.Header.Get("X-Goog-Generation")
	if resp.Request.Method != http.MethodGet || want == "" || got == "" || want == got {
		return nil
	}
	resp.Body.Close()
	body := gcsError(http.StatusPreconditionFailed)
	resp.StatusCode, resp.Status = http.StatusPreconditionFailed, ""
	resp.Header = http.Header{"Content-Type": {"application/json"}}
	resp.ContentLength = int64(len(body))
	resp.Body = io.NopCloser(strings.NewReader(body))
	return nil
}

func gcsError(code int) string {
	return fmt.Sprintf(`{"error":{"code":%d,"message":%q,"errors":[{"domain":"global","reason":"front","message":%q}]}}`,
		code, http.StatusText(code), http.StatusText(code))
}

func refuse(w http.ResponseWriter, err error) {
	code := http.StatusInternalServerError
	if s := (*gcsStatus)(nil); errors.As(err, &s) {
		code = s.code
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	io.WriteString(w, gcsError(code))
}

// gcsRequest is one request that the front answers itself.
type gcsRequest struct {
	f              *gcsFront
	r              *http.Request
	q              url.Values
	bucket, object string
}

func (c *gcsRequest) answer(w http.ResponseWriter, fn func() (any, error)) {
	out, err := fn()
	if err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(out)
}

// gcsObject is what the front must know of an object.
type gcsObject struct {
	Generation string
	Crc32c     string
	Metadata   map[string]string
}

func (c *gcsRequest) url(object string) string {
	return c.f.backend + "/storage/v1/b/" + url.PathEscape(c.bucket) + "/o/" + url.PathEscape(object)
}

func (c *gcsRequest) call(method, url string, body any) ([]byte, error) {
	var raw []byte
	if body != nil {
		raw, _ = json.Marshal(body)
	}
	return gcsCall(context.WithoutCancel(c.r.Context()), method, url, raw)
}

// look returns an object; its generation is "0" where there is none.
func (c *gcsRequest) look(object string) (gcsObject, error) {
	o := gcsObject{Generation: "0"}
	out, err := c.call(http.MethodGet, c.url(object), nil)
	if s := (*gcsStatus)(nil); errors.As(err, &s) && s.code == http.StatusNotFound {
		return o, nil
	}
	if err != nil {
		return o, err
	}
	return o, json.Unmarshal(out, &o)
}

// check is the precondition of the request on one object. Its parameter is
// "ifGenerationMatch" or "ifSourceGenerationMatch". Absent is the answer where
// there is no object.
func (c *gcsRequest) check(source, object string, absent int) error {
	want := c.q.Get("if" + source + "GenerationMatch")
	if want == "" {
		return nil
	}
	return c.expect(object, want, absent)
}

func (c *gcsRequest) expect(object, want string, absent int) error {
	o, err := c.look(object)
	switch {
	case err != nil:
		return err
	case o.Generation == want:
		return nil
	case o.Generation == "0":
		return &gcsStatus{code: absent}
	}
	return &gcsStatus{code: http.StatusPreconditionFailed}
}

func (c *gcsRequest) body(v any) error {
	if err := json.NewDecoder(c.r.Body).Decode(v); err != nil && err != io.EOF {
		return &gcsStatus{code: http.StatusBadRequest}
	}
	return nil
}

// update replaces attributes of an object, and returns it whole.
func (c *gcsRequest) update(object string, attrs map[string]any) (any, error) {
	if len(attrs) > 0 {
		if _, err := c.call(http.MethodPut, c.url(object), attrs); err != nil {
			return nil, err
		}
	}
	out, err := c.call(http.MethodGet, c.url(object), nil)
	return json.RawMessage(out), err
}

func (c *gcsRequest) patch() (any, error) {
	if err := c.check("", c.object, http.StatusNotFound); err != nil {
		return nil, err
	}
	var attrs map[string]any
	if err := c.body(&attrs); err != nil {
		return nil, err
	}
	o, err := c.look(c.object)
	if err != nil {
		return nil, err
	}
	if patch, ok := attrs["metadata"]; ok {
		merged := map[string]string{}
		if set, _ := patch.(map[string]any); set != nil {
			for k, v := range o.Metadata {
				merged[k] = v
			}
			for k, v := range set {
				if merged[k], ok = v.(string); !ok {
					delete(merged, k)
				}
			}
		}
		attrs["metadata"] = merged
	}
	delete(attrs, "bucket")
	return c.update(c.object, attrs)
}

func (c *gcsRequest) compose() (any, error) {
	var req struct {
		SourceObjects []struct {
			Name                string `json:"name"`
			Generation          string `json:"generation,omitempty"`
			ObjectPreconditions struct {
				IfGenerationMatch string `json:"ifGenerationMatch,omitempty"`
			} `json:"objectPreconditions"`
		} `json:"sourceObjects"`
		Destination map[string]any `json:"destination"`
	}
	if err := c.body(&req); err != nil {
		return nil, err
	}
	for _, src := range req.SourceObjects {
		o, err := c.look(src.Name)
		switch {
		case err != nil:
			return nil, err
		case o.Generation == "0", src.Generation != "" && src.Generation != o.Generation:
			return nil, &gcsStatus{code: http.StatusNotFound}
		case src.ObjectPreconditions.IfGenerationMatch != "" && src.ObjectPreconditions.IfGenerationMatch != o.Generation:
			return nil, &gcsStatus{code: http.StatusPreconditionFailed}
		}
	}
	if err := c.check("", c.object, http.StatusPreconditionFailed); err != nil {
		return nil, err
	}
	out, err := c.call(http.MethodPost, c.url(c.object)+"/compose", req)
	if err != nil {
		return nil, err
	}
	var made gcsObject
	if err := json.Unmarshal(out, &made); err != nil {
		return nil, err
	}
	if want, ok := req.Destination["crc32c"]; ok && want != made.Crc32c {
		return nil, &gcsStatus{code: http.StatusBadRequest}
	}
	attrs := map[string]any{}
	if t, ok := req.Destination["contentType"]; ok {
		attrs["contentType"] = t
	}
	return c.update(c.object, attrs)
}

func (c *gcsRequest) rewrite(dst string) (any, error) {
	if err := c.check("Source", c.object, http.StatusNotFound); err != nil {
		return nil, err
	}
	if err := c.check("", dst, http.StatusPreconditionFailed); err != nil {
		return nil, err
	}
	var attrs map[string]any
	if err := c.body(&attrs); err != nil {
		return nil, err
	}
	delete(attrs, "bucket")
	query := url.Values{}
	if g := c.q.Get("sourceGeneration"); g != "" {
		query.Set("sourceGeneration", g)
	}
	to := c.url(c.object) + "/rewriteTo/b/" + url.PathEscape(c.bucket) + "/o/" + url.PathEscape(dst)
	out, err := c.call(http.MethodPost, to+"?"+query.Encode(), attrs)
	if err != nil {
		return nil, err
	}
	var resp map[string]any
	if err := json.Unmarshal(out, &resp); err != nil {
		return nil, err
	}
	if _, ok := attrs["metadata"]; !ok && len(attrs) > 0 {
		attrs["metadata"] = map[string]string{}
	}
	resp["resource"], err = c.update(dst, attrs)
	return resp, err
}

// list pages through the whole listing of the server.
func (c *gcsRequest) list() (any, error) {
	query := url.Values{"prefix": {c.q.Get("prefix")}}
	out, err := c.call(http.MethodGet, c.f.backend+"/storage/v1/b/"+url.PathEscape(c.bucket)+"/o?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	var all struct{ Items []json.RawMessage }
	if err := json.Unmarshal(out, &all); err != nil {
		return nil, err
	}
	most := 1000
	if n, err := strconv.Atoi(c.q.Get("maxResults")); err == nil && n > 0 {
		most = min(most, n)
	}
	after, err := base64.RawURLEncoding.DecodeString(c.q.Get("pageToken"))
	if err != nil {
		return nil, &gcsStatus{code: http.StatusBadRequest}
	}
	page := struct {
		Kind          string            `json:"kind"`
		Items         []json.RawMessage `json:"items,omitempty"`
		Prefixes      []string          `json:"prefixes,omitempty"`
		NextPageToken string            `json:"nextPageToken,omitempty"`
	}{Kind: "storage#objects"}
	last, n := "", 0
	for _, item := range all.Items {
		var o struct{ Name string }
		if err := json.Unmarshal(item, &o); err != nil {
			return nil, err
		}
		name, folded := fold(o.Name, c.q.Get("prefix"), c.q.Get("delimiter"))
		if name <= string(after) && len(after) > 0 || folded && slices.Contains(page.Prefixes, name) {
			continue
		}
		if n == most {
			page.NextPageToken = base64.RawURLEncoding.EncodeToString([]byte(last))
			break
		}
		last = name
		n++
		if folded {
			page.Prefixes = append(page.Prefixes, name)
		} else {
			page.Items = append(page.Items, item)
		}
	}
	return page, nil
}

// fold cuts a name after the first delimiter behind the prefix.
func fold(name, prefix, delim string) (string, bool) {
	if delim == "" {
		return name, false
	}
	head, _, found := strings.Cut(name[len(prefix):], delim)
	if !found {
		return name, false
	}
	return prefix + head + delim, true
}
