package gcsstore

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pailfs/pailfs/objstore"
)

// script plays the service: it answers each request by the first function that
// does, and keeps what it was asked.
type script struct {
	mu       sync.Mutex
	requests []request
	answer   func(request) *http.Response
}

// request is one request in the words of the JSON API.
type request struct {
	method, path string // unescaped
	query        url.Values
	header       http.Header
	body         map[string]any // of JSON, or the attributes of an upload
	media        string         // bytes of an upload
}

func (s *script) RoundTrip(req *http.Request) (*http.Response, error) {
	r := request{method: req.Method, path: req.URL.Path, query: req.URL.Query(), header: req.Header}
	if req.Body != nil {
		raw, err := io.ReadAll(req.Body)
		req.Body.Close()
		if err != nil {
			return nil, err
		}
		r.read(raw)
	}
	s.mu.Lock()
	s.requests = append(s.requests, r)
	s.mu.Unlock()
	resp := s.answer(r)
	if resp == nil {
		return nil, fmt.Errorf("unexpected %s %s", r.method, r.path)
	}
	if resp == broken {
		return nil, fmt.Errorf("write tcp: connection reset by peer: %w", io.ErrUnexpectedEOF)
	}
	resp.Request, resp.ProtoMajor, resp.ProtoMinor = req, 1, 1
	return resp, nil
}

// broken is a connection that breaks after the request was carried out.
var broken = new(http.Response)

func (r *request) read(raw []byte) {
	kind, params, _ := mime.ParseMediaType(r.header.Get("Content-Type"))
	if kind != "multipart/related" {
		json.Unmarshal(raw, &r.body)
		return
	}
	parts := multipart.NewReader(bytes.NewReader(raw), params["boundary"])
	if p, err := parts.NextPart(); err == nil {
		json.NewDecoder(p).Decode(&r.body)
	}
	if p, err := parts.NextPart(); err == nil {
		media, _ := io.ReadAll(p)
		r.media = string(media)
	}
}

// all returns the requests with a method whose path ends so.
func (s *script) all(method, suffix string) []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []request
	for _, r := range s.requests {
		if r.method == method && strings.HasSuffix(r.path, suffix) {
			out = append(out, r)
		}
	}
	return out
}

func reply(status int, body any) *http.Response {
	raw, _ := json.Marshal(body)
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(bytes.NewReader(raw)), ContentLength: int64(len(raw))}
}

// refusal is an error of the JSON API.
func refusal(status int, reason, message string) *http.Response {
	return reply(status, map[string]any{"error": map[string]any{"code": status, "message": message,
		"errors": []map[string]string{{"domain": "global", "reason": reason, "message": message}}}})
}

// played is a store at Google whose service is played.
func played(t *testing.T, answer func(request) *http.Response, change ...func(*Config)) (*Store, *script) {
	t.Helper()
	c := Config{Bucket: "b", Anonymous: true, Retry: objstore.Retry{Attempts: 3, MaxDelay: time.Millisecond}}
	for _, f := range change {
		f(&c)
	}
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		t.Fatal(err)
	}
	sc := &script{answer: answer}
	s, err := newStoreWith(t.Context(), c, &http.Client{Transport: sc}, &http.Transport{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, sc
}

func section(body string) *io.SectionReader {
	return io.NewSectionReader(strings.NewReader(body), 0, int64(len(body)))
}
