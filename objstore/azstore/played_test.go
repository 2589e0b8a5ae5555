package azstore

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pailfs/pailfs/objstore"
)

// script plays the service: it answers each request by a function, and keeps
// what it was asked.
type script struct {
	mu       sync.Mutex
	requests []request
	answer   func(request) *http.Response
}

type request struct {
	method, path string // the path unescaped, below the container
	query        url.Values
	header       http.Header
	body         string
}

// is says whether the request is the operation of a name, as the REST reference
// has it.
func (r request) is(name string) bool { return r.name() == name }

func (r request) name() string {
	comp := r.query.Get("comp")
	fromURL := r.header.Get("x-ms-copy-source") != ""
	switch {
	case r.method == "PUT" && comp == "" && fromURL && r.header.Get("x-ms-blob-type") != "":
		return "Put Blob From URL"
	case r.method == "PUT" && comp == "" && fromURL:
		return "Copy Blob From URL"
	case r.method == "PUT" && comp == "":
		return "Put Blob"
	case r.method == "PUT" && comp == "block" && fromURL:
		return "Put Block From URL"
	case r.method == "PUT" && comp == "block":
		return "Put Block"
	case r.method == "PUT" && comp == "blocklist":
		return "Put Block List"
	case r.method == "PUT" && comp == "metadata":
		return "Set Blob Metadata"
	case r.method == "GET" && comp == "blocklist":
		return "Get Block List"
	case r.method == "GET" && comp == "list":
		return "List Blobs"
	case r.query.Get("restype") == "account":
		return "Get Account Information"
	case r.method == "GET":
		return "Get Blob"
	case r.method == "HEAD":
		return "Get Blob Properties"
	case r.method == "DELETE":
		return "Delete Blob"
	}
	return r.method + " " + comp
}

func (s *script) Do(req *http.Request) (*http.Response, error) {
	r := request{method: req.Method, query: req.URL.Query(), header: http.Header{}}
	for name, v := range req.Header { // the SDK does not keep to the case that Get looks for
		r.header[http.CanonicalHeaderKey(name)] = v
	}
	_, r.path, _ = strings.Cut(strings.TrimPrefix(req.URL.Path, "/"), "/")
	if req.Body != nil {
		raw, err := io.ReadAll(req.Body)
		req.Body.Close()
		if err != nil {
			return nil, err
		}
		r.body = string(raw)
	}
	s.mu.Lock()
	s.requests = append(s.requests, r)
	s.mu.Unlock()
	resp := s.answer(r)
	if resp == nil {
		return nil, fmt.Errorf("unexpected %s %s", r.name(), r.path)
	}
	if resp == broken {
		return nil, fmt.Errorf("write tcp: connection reset by peer: %w", io.ErrUnexpectedEOF)
	}
	resp.Request, resp.ProtoMajor, resp.ProtoMinor = req, 1, 1
	return resp, nil
}

// broken is a connection that breaks after the request was carried out.
var broken = new(http.Response)

// all returns the requests that are the operation of a name.
func (s *script) all(name string) []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []request
	for _, r := range s.requests {
		if r.is(name) {
			out = append(out, r)
		}
	}
	return out
}

func (s *script) one(t *testing.T, name string) request {
	t.Helper()
	all := s.all(name)
	if len(all) != 1 {
		t.Fatalf("%d requests %s", len(all), name)
	}
	return all[0]
}

func reply(status int, header map[string]string, body string) *http.Response {
	h := http.Header{"Etag": {`"0x1"`}, "Last-Modified": {"Fri, 02 Jan 2026 03:04:05 GMT"}}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	for k, v := range header {
		h.Set(k, v)
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
}

func refusal(status int, code, message string) *http.Response {
	return reply(status, map[string]string{"x-ms-error-code": code, "x-ms-request-id": "R1", "Content-Type": "application/xml"},
		"\ufeff<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>"+code+"</Code><Message>"+message+"\nRequestId:R1\nTime:now</Message></Error>")
}

var testKey = base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 64))

// played is a store at Microsoft's service, which is played.
func played(t *testing.T, answer func(request) *http.Response, change ...func(*Config)) (*Store, *script) {
	t.Helper()
	c := Config{Container: "cont", Account: "acc", AccountKey: testKey, Retry: objstore.Retry{Attempts: 3, MaxDelay: time.Millisecond}}
	for _, f := range change {
		f(&c)
	}
	c, err := c.resolve(func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	sc := &script{answer: answer}
	s, err := newStoreWith(c, sc, &http.Transport{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, sc
}

func text(body string) *io.SectionReader { return section([]byte(body)) }
