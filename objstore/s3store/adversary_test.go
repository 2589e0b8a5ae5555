package s3store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/storetest"
)

// An adversary stands between a store and a real server, and makes of that
// another one.
type adversary struct {
	next s3.HTTPClient

	// refuse answers in place of the server, if it returns a status.
	refuse func(*http.Request) (status int, code, message string)
	// deaf are headers that the server never sees; they are taken out before
	// the request is signed.
	deaf []string

	mu       sync.Mutex
	requests []*http.Request // as they were sent, without bodies
}

// between puts the adversary there. The store is to be probed after it.
func (a *adversary) between(s *Store) {
	a.next = s.client.Options().HTTPClient
	s.client = s3.New(s.client.Options(), func(o *s3.Options) {
		o.HTTPClient = a
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
			return stack.Build.Add(middleware.BuildMiddlewareFunc("deaf", a.build), middleware.After)
		})
	})
}

func (a *adversary) build(ctx context.Context, in middleware.BuildInput, next middleware.BuildHandler) (middleware.BuildOutput, middleware.Metadata, error) {
	if req, ok := in.Request.(*smithyhttp.Request); ok {
		for _, name := range a.deaf {
			req.Header.Del(name)
		}
	}
	return next.HandleBuild(ctx, in)
}

func (a *adversary) Do(req *http.Request) (*http.Response, error) {
	a.mu.Lock()
	a.requests = append(a.requests, req.Clone(req.Context()))
	a.mu.Unlock()
	if a.refuse == nil {
		return a.next.Do(req)
	}
	status, code, message := a.refuse(req)
	if status == 0 {
		return a.next.Do(req)
	}
	if req.Body != nil {
		io.Copy(io.Discard, req.Body)
		req.Body.Close()
	}
	body := fmt.Sprintf("<Error><Code>%s</Code><Message>%s</Message></Error>", code, message)
	return &http.Response{
		StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
		Header: http.Header{"Content-Type": {"application/xml"}}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}, nil
}

// opposed returns the store of a fresh bucket at a server that the adversary
// changes, probed through it.
func opposed(t *testing.T, a *adversary, change ...func(*Config)) *Store {
	t.Helper()
	s := open(t, change...)
	a.between(s)
	s.facts.Store(&facts{})
	if err := s.Probe(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	return s
}

// exercise writes in every way that a mount does: small, large, in place,
// conditional, copied, and removes it again.
func exercise(t *testing.T, s *Store) {
	t.Helper()
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	holds := func(key string, want []byte) {
		t.Helper()
		body, _, err := s.Get(ctx, key, objstore.All, objstore.Cond{})
		must(err)
		defer body.Close()
		if got, err := io.ReadAll(body); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, want %d, %v", key, len(got), len(want), err)
		}
	}
	small, err := s.Put(ctx, "small", section("one"), objstore.PutOptions{Cond: objstore.Cond{Absent: true}, Metadata: map[string]string{"mode": "33188"}})
	must(err)
	_, err = s.Put(ctx, "small", section("two"), objstore.PutOptions{Cond: objstore.Cond{Absent: true}})
	if !errors.Is(err, objstore.ErrCond) {
		t.Errorf("put over an object: %v", err)
	}
	small, err = s.Put(ctx, "small", section("two"), objstore.PutOptions{Cond: objstore.Cond{Version: small.Version}})
	must(err)
	holds("small", []byte("two"))

	content := bytes.Repeat([]byte("0123456789abcdef"), 5*mibInt/16)
	up, err := s.NewUpload(ctx, "large", objstore.PutOptions{Cond: objstore.Cond{Absent: true}})
	must(err)
	must(up.PutPart(ctx, 1, section(string(content))))
	must(up.PutPart(ctx, 2, section("tail")))
	large, err := up.Commit(ctx, 2)
	must(err)
	holds("large", append(content[:len(content):len(content)], "tail"...))

	again, err := s.NewUpload(ctx, "large", objstore.PutOptions{Cond: objstore.Cond{Version: large.Version}})
	must(err)
	if c, ok := again.(objstore.PartCopier); ok {
		must(c.CopyPart(ctx, 1, "large", large.Version, objstore.Range{Len: int64(len(content))}))
	} else {
		must(again.PutPart(ctx, 1, section(string(content))))
	}
	must(again.PutPart(ctx, 2, section("longer tail")))
	_, err = again.Commit(ctx, 2)
	must(err)
	holds("large", append(content[:len(content):len(content)], "longer tail"...))

	stale, err := s.NewUpload(ctx, "large", objstore.PutOptions{Cond: objstore.Cond{Version: large.Version}})
	must(err)
	must(stale.PutPart(ctx, 1, section("lost")))
	if _, err := stale.Commit(ctx, 1); !errors.Is(err, objstore.ErrCond) {
		t.Errorf("commit over another version: %v", err)
	}
	must(stale.Abort(ctx))

	_, err = s.Copy(ctx, "copy", "small", objstore.CopyOptions{Src: small.Version, Dst: objstore.Cond{Absent: true}})
	must(err)
	if _, err := s.Copy(ctx, "copy", "large", objstore.CopyOptions{Dst: objstore.Cond{Absent: true}}); !errors.Is(err, objstore.ErrCond) {
		t.Errorf("copy over an object: %v", err)
	}
	holds("copy", []byte("two"))
	_, err = s.Copy(ctx, "copy", "copy", objstore.CopyOptions{Metadata: map[string]string{"mode": "33152"}})
	must(err)
	for _, key := range []string{"small", "large", "copy"} {
		o, err := s.Stat(ctx, key)
		must(err)
		must(s.Delete(ctx, key, objstore.Cond{Version: o.Version}))
	}
	if left := listed(t, s); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func hasChecksum(h http.Header) bool {
	for name := range h {
		if strings.HasPrefix(name, "X-Amz-Checksum-") && name != "X-Amz-Checksum-Algorithm" && name != "X-Amz-Checksum-Mode" {
			return true
		}
	}
	return h.Get("Content-Md5") != ""
}

// TestServerWithoutTrailers: no request carries a checksum behind its body.
func TestServerWithoutTrailers(t *testing.T) {
	a := &adversary{refuse: func(r *http.Request) (int, string, string) {
		if r.Header.Get("X-Amz-Trailer") != "" || strings.Contains(r.Header.Get("Content-Encoding"), "aws-chunked") ||
			strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-") || r.ContentLength < 0 {
			return 501, "NotImplemented", "A header you provided implies functionality that is not implemented"
		}
		return 0, "", ""
	}}
	exercise(t, opposed(t, a))
}

// TestServerWithoutChecksums knows Content-MD5 alone.
func TestServerWithoutChecksums(t *testing.T) {
	a := &adversary{refuse: func(r *http.Request) (int, string, string) {
		for name := range r.Header {
			if strings.HasPrefix(name, "X-Amz-Checksum-") && name != "X-Amz-Checksum-Mode" {
				return 400, "InvalidArgument", "Unsupported header '" + strings.ToLower(name) + "' received for this API call."
			}
		}
		return 0, "", ""
	}}
	s := opposed(t, a)
	exercise(t, s)
	if got := *s.algorithm.Load(); got != ChecksumMD5 {
		t.Errorf("checksum %s", got)
	}
}

// TestServerWithObjectLock demands a checksum of each body, as a bucket with a
// default retention does.
func TestServerWithObjectLock(t *testing.T) {
	var bodies atomic.Int32
	a := &adversary{refuse: func(r *http.Request) (int, string, string) {
		if r.Method != http.MethodPut || r.Header.Get("X-Amz-Copy-Source") != "" || r.URL.RawQuery == "" {
			return 0, "", ""
		}
		bodies.Add(1)
		if !hasChecksum(r.Header) {
			return 400, "InvalidRequest", "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Part requests with Object Lock parameters"
		}
		return 0, "", ""
	}}
	for _, algorithm := range []Checksum{ChecksumAuto, ChecksumMD5} {
		exercise(t, opposed(t, a, func(c *Config) { c.Checksum = algorithm }))
	}
	if bodies.Load() == 0 {
		t.Error("no body was looked at")
	}
}

// TestServerThatIgnoresConditions: the probe finds out, Caps says so, the log
// does once, and the driver looks at the object before each write.
func TestServerThatIgnoresConditions(t *testing.T) {
	var log bytes.Buffer
	deaf := func() *adversary {
		return &adversary{deaf: []string{"If-Match", "If-None-Match", "X-Amz-Copy-Source-If-Match"}}
	}
	s := opposed(t, deaf(), func(c *Config) {
		c.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	})
	if c := s.Caps(); c.CondPut || c.CondCopy || c.CondDelete {
		t.Errorf("%+v", c)
	}
	exercise(t, s)
	if n := strings.Count(log.String(), "looks just before it writes"); n != 1 {
		t.Errorf("said %d times: %s", n, log.String())
	}
	storetest.Run(t, func(t *testing.T) objstore.Store {
		return opposed(t, deaf(), func(c *Config) { c.Checksum = ChecksumMD5 })
	})
}

// TestServerThatIgnoresConditionsOfCommits: those of a Put are not enough.
func TestServerThatIgnoresConditionsOfCommits(t *testing.T) {
	a := &adversary{}
	s := open(t)
	a.between(s)
	s.client = s3.New(s.client.Options(), func(o *s3.Options) {
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
			if stack.ID() != "CompleteMultipartUpload" {
				return nil
			}
			a := &adversary{deaf: []string{"If-Match", "If-None-Match"}}
			return stack.Build.Add(middleware.BuildMiddlewareFunc("deaf commits", a.build), middleware.After)
		})
	})
	s.facts.Store(&facts{})
	if err := s.Probe(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	if f := s.facts.Load(); f.condPut != honoured || f.condCommit == honoured || s.Caps().CondPut {
		t.Errorf("%+v", f)
	}
	exercise(t, s)
}

// TestCopyLimit meets a server whose "5 GB" are 5,000,000,000 bytes.
func TestCopyLimit(t *testing.T) {
	const size = 12_000_000_000
	var mu sync.Mutex
	var copied, largest int64
	s := answering(t, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		w.Header().Set("ETag", `"e"`)
		switch {
		case r.Method == http.MethodHead:
			w.Header().Set("Content-Length", fmt.Sprint(size))
		case q.Has("uploads"):
			io.WriteString(w, "<InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>")
		case r.Header.Get("X-Amz-Copy-Source") != "":
			var from, to int64
			if _, err := fmt.Sscanf(r.Header.Get("X-Amz-Copy-Source-Range"), "bytes=%d-%d", &from, &to); err != nil || to-from+1 > 5_000_000_000 {
				w.WriteHeader(http.StatusBadRequest)
				io.WriteString(w, "<Error><Code>InvalidRequest</Code><Message>The specified copy source is larger than the maximum allowable size for a copy source: 5000000000</Message></Error>")
				return
			}
			mu.Lock()
			copied, largest = copied+to-from+1, max(largest, to-from+1)
			mu.Unlock()
			io.WriteString(w, `<CopyPartResult><ETag>"p"</ETag></CopyPartResult>`)
		case r.Method == http.MethodPost:
			io.WriteString(w, `<CompleteMultipartUploadResult><ETag>"e-2"</ETag></CompleteMultipartUploadResult>`)
		default:
			t.Errorf("%s %s", r.Method, r.URL)
		}
	}, func(c *Config) { c.Checksum = ChecksumMD5 })
	_, err := s.Copy(t.Context(), "dst", "src", objstore.CopyOptions{})
	if kindOf(t, err) != objstore.ErrUnsupported {
		t.Errorf("one copy: %v", err)
	}
	if c := s.Caps(); c.MaxCopy > 5_000_000_000 || c.MaxPart > 5_000_000_000 || c.MaxPut > 5_000_000_000 {
		t.Errorf("%+v", c)
	}
	o, err := objstore.CopyObject(t.Context(), s, "dst", objstore.Object{Key: "src", Size: size, Version: "e"}, objstore.CopyOptions{Metadata: map[string]string{}})
	if err != nil || o.Size != size || copied != size {
		t.Errorf("%+v, %v: %d bytes copied, %d at most at once", o, err, copied, largest)
	}
}

// TestPolicyIsEnough: the least policy of docs/providers/s3.md allows every
// request that is made.
func TestPolicyIsEnough(t *testing.T) {
	text, err := os.ReadFile("../../docs/providers/s3.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```json\n")
	policy, _, _ := strings.Cut(rest, "```")
	var doc struct {
		Statement []struct {
			Action   any
			Resource string
		}
	}
	if err := json.Unmarshal([]byte(policy), &doc); err != nil {
		t.Fatal(err)
	}
	unused := map[string]bool{}
	for _, s := range doc.Statement {
		for action := range strings.FieldsSeq(strings.Trim(fmt.Sprint(s.Action), "[]")) {
			unused[action] = true
		}
	}
	allowed := maps.Clone(unused)
	a := &adversary{}
	s := opposed(t, a)
	exercise(t, s)
	for _, r := range a.requests {
		q := r.URL.Query()
		var needs []string
		switch {
		case r.Method == http.MethodGet && q.Get("list-type") == "2":
			needs = []string{"s3:ListBucket"}
		case r.Method == http.MethodGet && !q.Has("uploads"), r.Method == http.MethodHead:
			needs = []string{"s3:GetObject"}
		case r.Method == http.MethodDelete && q.Has("uploadId"):
			needs = []string{"s3:AbortMultipartUpload"}
		case r.Method == http.MethodDelete:
			needs = []string{"s3:DeleteObject"}
		case r.Method == http.MethodPut && r.Header.Get("X-Amz-Copy-Source") != "":
			needs = []string{"s3:GetObject", "s3:PutObject"}
		case r.Method == http.MethodPut, r.Method == http.MethodPost && (q.Has("uploads") || q.Has("uploadId")):
			needs = []string{"s3:PutObject"}
		default:
			needs = []string{"of " + r.Method + " " + r.URL.String()}
		}
		for _, action := range needs {
			if delete(unused, action); !allowed[action] {
				t.Errorf("the policy lacks the action %s", action)
			}
		}
	}
	if len(unused) > 0 {
		t.Errorf("the policy allows what is not needed: %v", slices.Sorted(maps.Keys(unused)))
	}
}
