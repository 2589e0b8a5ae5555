package s3store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pailfs/pailfs/objstore"
)

// answering returns a store whose every request is answered by h. The bucket has
// a name of its own, by which requests of other programs, for a server that had
// the port before, are told apart.
func answering(t *testing.T, h http.HandlerFunc, change ...func(*Config)) *Store {
	t.Helper()
	bucket := "bucket-" + strings.ToLower(rand.Text())
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/"+bucket && !strings.HasPrefix(r.URL.Path, "/"+bucket+"/") {
			t.Logf("not for this test: %s %s", r.Method, r.URL.Path)
			w.WriteHeader(http.StatusGone)
			return
		}
		h(w, r)
	}))
	t.Cleanup(srv.Close)
	c := Config{
		Bucket: bucket, Endpoint: srv.URL, Region: "us-east-1", AccessKey: "key", SecretKey: "s3cret",
		Retry: objstore.Retry{Attempts: 2, MaxDelay: time.Millisecond},
	}
	for _, f := range change {
		f(&c)
	}
	s, err := newStore(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// refuse answers as S3 does; to HEAD there is no body.
func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("x-amz-request-id", "REQ1")
	w.WriteHeader(status)
	if code != "" {
		fmt.Fprintf(w, "<Error><Code>%s</Code><Message>text of %s</Message></Error>", code, code)
	}
}

func kindOf(t *testing.T, err error) error {
	t.Helper()
	var e *objstore.Error
	if !errors.As(err, &e) {
		t.Fatalf("%T is no *objstore.Error: %v", err, err)
	}
	return e.Kind
}

func TestClassify(t *testing.T) {
	ctx := t.Context()
	ops := map[string]func(*Store) error{
		"stat": func(s *Store) error { _, err := s.Stat(ctx, "k"); return err },
		"get": func(s *Store) error {
			_, _, err := s.Get(ctx, "k", objstore.All, objstore.Cond{Version: "v"})
			return err
		},
		"put": func(s *Store) error { _, err := s.Put(ctx, "k", section("x"), objstore.PutOptions{}); return err },
		"put-if": func(s *Store) error {
			_, err := s.put(ctx, "k", section("x"), objstore.PutOptions{}, condHeaders(objstore.Cond{Version: "v"}), ChecksumCRC32C)
			return s.classify("put", "k", err)
		},
		"delete": func(s *Store) error { return s.Delete(ctx, "k", objstore.Cond{}) },
		"list":   func(s *Store) error { _, err := s.List(ctx, objstore.ListRequest{}); return err },
		"upload": func(s *Store) error { _, err := s.NewUpload(ctx, "k", objstore.PutOptions{}); return err },
		"part":   func(s *Store) error { return started(s).PutPart(ctx, 1, section("x")) },
		"commit": func(s *Store) error { _, err := started(s).Commit(ctx, 1); return err },
	}
	for _, tt := range []struct {
		op     string
		status int
		code   string
		want   error
	}{
		{"stat", 404, "", objstore.ErrNotFound},
		{"stat", 403, "", objstore.ErrPermission},
		{"stat", 401, "", objstore.ErrPermission},
		{"stat", 412, "", objstore.ErrCond},
		{"stat", 500, "", objstore.ErrTransient},
		{"stat", 503, "", objstore.ErrThrottled},
		{"stat", 429, "", objstore.ErrThrottled},
		{"stat", 501, "", objstore.ErrUnsupported},
		{"get", 404, "NoSuchKey", objstore.ErrNotFound},
		{"get", 404, "NoSuchBucket", objstore.ErrNotFound},
		{"get", 403, "AccessDenied", objstore.ErrPermission},
		{"get", 403, "NoSuchKey-like", objstore.ErrPermission},
		{"get", 403, "InvalidObjectState", objstore.ErrArchived},
		{"get", 416, "InvalidRange", objstore.ErrRange},
		{"get", 412, "PreconditionFailed", objstore.ErrCond},
		{"put", 400, "BadDigest", objstore.ErrChecksum},
		{"put", 400, "ExpiredToken", objstore.ErrPermission},
		{"put", 400, "RequestTimeout", objstore.ErrTransient},
		{"put", 400, "EntityTooLarge", objstore.ErrOther},
		{"put", 400, "KeyTooLongError", objstore.ErrUnsupported},
		{"put", 409, "OperationAborted", objstore.ErrTransient},
		{"put", 507, "", objstore.ErrQuota},
		{"put", 403, "QuotaExceeded", objstore.ErrQuota},
		{"put", 503, "SlowDown", objstore.ErrThrottled},
		{"put", 500, "InternalError", objstore.ErrTransient},
		{"put-if", 412, "PreconditionFailed", objstore.ErrCond},
		{"put-if", 409, "ConditionalRequestConflict", objstore.ErrCond},
		{"delete", 403, "AccessDenied", objstore.ErrPermission},
		{"delete", 404, "NoSuchKey", nil},
		{"delete", 404, "NoSuchBucket", objstore.ErrNotFound},
		{"list", 404, "NoSuchBucket", objstore.ErrNotFound},
		{"list", 403, "AccessDenied", objstore.ErrPermission},
		{"list", 403, "SignatureDoesNotMatch", objstore.ErrPermission},
		{"list", 301, "PermanentRedirect", objstore.ErrOther},
		{"upload", 403, "AccessDenied", objstore.ErrPermission},
		{"part", 404, "NoSuchUpload", objstore.ErrOther},
		{"part", 504, "", objstore.ErrTransient},
		{"commit", 404, "NoSuchUpload", objstore.ErrTransient},
		{"commit", 412, "PreconditionFailed", objstore.ErrCond},
		{"commit", 409, "ConditionalRequestConflict", objstore.ErrCond},
		{"commit", 400, "InvalidPart", objstore.ErrOther},
		{"commit", 200, "InternalError", objstore.ErrTransient}, // an error after a "200 OK"
		{"commit", 200, "SlowDown", objstore.ErrThrottled},
		{"commit", 200, "", objstore.ErrTransient}, // an answer without an ETag
	} {
		t.Run(fmt.Sprintf("%s-%d-%s", tt.op, tt.status, tt.code), func(t *testing.T) {
			s := answering(t, func(w http.ResponseWriter, r *http.Request) { refuse(w, tt.status, tt.code) })
			err := ops[tt.op](s)
			if tt.want == nil {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if got := kindOf(t, err); got != tt.want {
				t.Errorf("%v, want %v: %v", got, tt.want, err)
			}
			text := err.Error()
			if strings.Contains(text, "s3cret") || strings.Contains(text, "\n") || strings.Contains(text, "operation error") {
				t.Errorf("%q", text)
			}
			if tt.code == "NoSuchBucket" && !strings.Contains(text, `there is no bucket "bucket-`) {
				t.Errorf("the bucket is not named: %q", text)
			}
		})
	}
}

// started is an upload of which one part was sent.
func started(s *Store) *upload {
	etag := `"e"`
	return &upload{s: s, key: "k", id: "id", algorithm: ChecksumCRC32C, declared: true,
		parts: map[int]part{1: {etag: &etag, crc32c: &etag, size: 1}}}
}

func TestConditionWhereNothingIs(t *testing.T) {
	s := answering(t, func(w http.ResponseWriter, r *http.Request) { refuse(w, 404, "NoSuchKey") })
	s.facts.Store(&amazonFacts)
	cond := objstore.Cond{Version: "v"}
	_, err := s.Put(t.Context(), "k", section("x"), objstore.PutOptions{Cond: cond})
	if kindOf(t, err) != objstore.ErrCond {
		t.Errorf("put: %v", err)
	}
	if err := s.Delete(t.Context(), "k", cond); kindOf(t, err) != objstore.ErrCond {
		t.Errorf("delete: %v", err)
	}
	u := started(s)
	u.opt.Cond = cond
	if _, err := u.Commit(t.Context(), 1); kindOf(t, err) != objstore.ErrCond {
		t.Errorf("commit: %v", err)
	}
}

func TestRegionIsNamed(t *testing.T) {
	s := answering(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("x-amz-bucket-region", "eu-west-3")
		refuse(w, 301, "PermanentRedirect")
	})
	if _, err := s.List(t.Context(), objstore.ListRequest{}); !strings.Contains(err.Error(), "eu-west-3") {
		t.Error(err)
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	release := make(chan struct{})
	s := answering(t, func(w http.ResponseWriter, r *http.Request) {
		cancel()
		<-release
	})
	defer close(release)
	_, err := s.Stat(ctx, "k")
	if !errors.Is(err, context.Canceled) || kindOf(t, err) != objstore.ErrTransient {
		t.Errorf("%v", err)
	}
}

// TestRetriesOutlastAnyQuota throttles far more requests than the SDK's quota of
// retries covers.
func TestRetriesOutlastAnyQuota(t *testing.T) {
	var mu sync.Mutex
	tries := map[string]int{}
	s := answering(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		tries[r.URL.Path]++
		n := tries[r.URL.Path]
		mu.Unlock()
		if n < 4 {
			refuse(w, 503, "SlowDown")
		}
	}, func(c *Config) { c.Retry = objstore.Retry{Attempts: 5, MaxDelay: time.Millisecond} })
	var failed atomic.Int32
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			if _, err := s.Stat(t.Context(), fmt.Sprint("k", i)); err != nil {
				failed.Add(1)
			}
		})
	}
	wg.Wait()
	if n := failed.Load(); n != 0 {
		t.Errorf("%d of 200 requests failed", n)
	}
}

func TestNoRetryOfWhatWillNotChange(t *testing.T) {
	for _, status := range []int{400, 401, 403, 404, 412} {
		var tries atomic.Int32
		s := answering(t, func(w http.ResponseWriter, r *http.Request) {
			tries.Add(1)
			refuse(w, status, "")
		})
		_, _, err := s.Get(t.Context(), "k", objstore.All, objstore.Cond{})
		if err == nil || tries.Load() != 1 {
			t.Errorf("%d: %d tries, %v", status, tries.Load(), err)
		}
	}
}

func TestBodyThatBreaksOff(t *testing.T) {
	s := answering(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "10")
		w.Header().Set("ETag", `"v"`)
		w.Write([]byte("12345"))
	})
	body, o, err := s.Get(t.Context(), "k", objstore.All, objstore.Cond{})
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	got, err := io.ReadAll(body)
	if string(got) != "12345" || o.Size != 10 || kindOf(t, err) != objstore.ErrTransient {
		t.Errorf("%q of %d, %v", got, o.Size, err)
	}
}

func TestBodyWithWrongChecksum(t *testing.T) {
	d, err := digestOf(section("right"), ChecksumCRC32C, objstore.Checksums{})
	if err != nil {
		t.Fatal(err)
	}
	s := answering(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("x-amz-checksum-crc32c", *d.crc32c)
		w.Write([]byte("wrong"))
	})
	body, _, err := s.Get(t.Context(), "k", objstore.All, objstore.Cond{})
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if _, err := io.ReadAll(body); kindOf(t, err) != objstore.ErrChecksum {
		t.Error(err)
	}
}

func TestRangeThatIsIgnored(t *testing.T) {
	s := answering(t, func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("the whole object")) })
	_, _, err := s.Get(t.Context(), "k", objstore.Range{Off: 4, Len: 2}, objstore.Cond{})
	if kindOf(t, err) != objstore.ErrUnsupported {
		t.Error(err)
	}
}

// An answer that is about the credentials is told from one about the right, also
// where it has no body.
func TestCredentialsAreRefused(t *testing.T) {
	for _, tt := range []struct {
		status int
		code   string
		want   bool
	}{
		{400, "ExpiredToken", true}, {403, "ExpiredToken", true}, {400, "InvalidToken", true}, {403, "InvalidAccessKeyId", true},
		{403, "SignatureDoesNotMatch", true}, {403, "RequestTimeTooSkewed", true}, {403, "AccessDenied", false}, {403, "AccountProblem", false},
	} {
		s := answering(t, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(tt.status)
			if r.Method != http.MethodHead {
				fmt.Fprintf(w, "<Error><Code>%s</Code></Error>", tt.code)
			}
		})
		_, err1 := s.Stat(t.Context(), "k")
		_, err2 := s.Put(t.Context(), "k", section("x"), objstore.PutOptions{})
		for _, err := range []error{err1, err2} {
			if !errors.Is(err, objstore.ErrPermission) || errors.Is(err, objstore.ErrCredentials) != tt.want {
				t.Errorf("%d %s: %v", tt.status, tt.code, err)
			}
		}
	}
}

// A HEAD that was refused for a reason which has passed is made again.
func TestRefusalThatPasses(t *testing.T) {
	n := 0
	s := answering(t, func(w http.ResponseWriter, r *http.Request) {
		if n++; n == 1 {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		w.Header().Set("ETag", `"v"`)
		w.Header().Set("Last-Modified", "Fri, 02 Jan 2026 03:04:05 GMT")
	})
	if o, err := s.Stat(t.Context(), "k"); err != nil || o.Version != "v" || n != 3 {
		t.Errorf("%+v, %v after %d requests", o, err, n)
	}
}
