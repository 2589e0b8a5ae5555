package gcsstore

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/pailfs/pailfs/objstore"
)

func TestClassify(t *testing.T) {
	for _, tt := range []struct {
		status          int
		reason, message string
		want            error
		tries           int
	}{
		{400, "invalid", `Provided CRC32C "AAAAAA==" doesn't match calculated CRC32C "BBBBBB==".`, objstore.ErrChecksum, 1},
		{400, "invalid", "Invalid argument.", objstore.ErrOther, 1},
		{401, "authError", "Invalid Credentials", objstore.ErrPermission, 1},
		{403, "forbidden", "a@b does not have storage.objects.create access", objstore.ErrPermission, 1},
		{403, "retentionPolicyNotMet", "is subject to bucket's retention policy", objstore.ErrPermission, 1},
		{403, "rateLimitExceeded", "The rate limit is exceeded.", objstore.ErrThrottled, 1},
		{403, "quotaExceeded", "Quota exceeded.", objstore.ErrQuota, 1},
		{404, "notFound", "The specified bucket does not exist.", objstore.ErrNotFound, 1},
		{408, "timeout", "", objstore.ErrTransient, 3},
		{409, "conflict", "The object is being written.", objstore.ErrTransient, 1},
		{412, "conditionNotMet", "At least one of the pre-conditions did not hold.", objstore.ErrCond, 1},
		{429, "rateLimitExceeded", "The object exceeded the rate limit.", objstore.ErrThrottled, 3},
		{500, "internalError", "", objstore.ErrTransient, 3},
		{501, "notImplemented", "", objstore.ErrUnsupported, 3},
		{503, "backendError", "", objstore.ErrTransient, 3},
	} {
		t.Run(fmt.Sprint(tt.status, tt.reason), func(t *testing.T) {
			s, sc := played(t, func(request) *http.Response { return refusal(tt.status, tt.reason, tt.message) })
			_, err := s.Put(t.Context(), "k", section("body"), objstore.PutOptions{})
			if !errors.Is(err, tt.want) {
				t.Errorf("put: %v, want %v", err, tt.want)
			}
			if n := len(sc.requests); n != tt.tries {
				t.Errorf("%d tries, want %d", n, tt.tries)
			}
			if tt.reason == "notFound" && !strings.Contains(err.Error(), `there is no bucket "b"`) {
				t.Errorf("put: %v", err)
			}
			n := len(sc.requests)
			_, err = s.Copy(t.Context(), "k", "other", objstore.CopyOptions{})
			if !errors.Is(err, tt.want) {
				t.Errorf("copy: %v, want %v", err, tt.want)
			}
			if n = len(sc.requests) - n; n != tt.tries {
				t.Errorf("%d tries of the copy, want %d", n, tt.tries)
			}
		})
	}
}

// lossy carries the first request out that fits, and loses the answer.
func lossy(f *service, fits func(request) bool) func(request) *http.Response {
	done := false
	return func(r request) *http.Response {
		if !fits(r) {
			return f.answer(r)
		}
		if done {
			return refusal(412, "conditionNotMet", "") // its own doing
		}
		done = true
		f.answer(r)
		return broken
	}
}

// A try that got no answer may have been carried out: then the next one fails
// by its condition, and what is there is what was to be there.
func TestLostAnswerOfAPut(t *testing.T) {
	f := newService()
	s, sc := played(t, lossy(f, func(r request) bool { return r.method == "POST" }))
	o, err := s.Put(t.Context(), "k", section("body"), objstore.PutOptions{Cond: objstore.Cond{Absent: true}, Metadata: map[string]string{"a": "1"}})
	if err != nil || o.Version != "101" {
		t.Errorf("%+v, %v", o, err)
	}
	if n := len(sc.all("POST", "")); n != 2 {
		t.Errorf("%d tries", n)
	}
}

func TestLostAnswerOfACommit(t *testing.T) {
	f := newService()
	s, _ := played(t, lossy(f, func(r request) bool { return strings.HasSuffix(r.path, "/compose") }))
	if o := uploadParts(t, s, 2, objstore.PutOptions{Cond: objstore.Cond{Absent: true}}); o.Size != 14 {
		t.Errorf("%+v", o)
	}
}

// Somebody else's object is not taken for one's own.
func TestLostAnswerAndAnotherObject(t *testing.T) {
	f := newService()
	lose := lossy(f, func(r request) bool { return r.method == "POST" })
	s, _ := played(t, func(r request) *http.Response {
		resp := lose(r)
		if resp == broken {
			f.put("k", map[string]any{"size": "4", "crc32c": crcOf("mine"), "contentType": defaultType})
		}
		return resp
	})
	_, err := s.Put(t.Context(), "k", section("body"), objstore.PutOptions{Cond: objstore.Cond{Absent: true}})
	if !errors.Is(err, objstore.ErrCond) {
		t.Errorf("put: %v", err)
	}
}

func TestLostAnswerOfADelete(t *testing.T) {
	lost := true
	s, _ := played(t, func(request) *http.Response {
		if lost {
			lost = false
			return broken
		}
		return refusal(404, "notFound", "No such object: b/k")
	})
	if err := s.Delete(t.Context(), "k", objstore.Cond{Version: "7"}); err != nil {
		t.Errorf("delete: %v", err)
	}
	if err := s.Delete(t.Context(), "k", objstore.Cond{Version: "7"}); !errors.Is(err, objstore.ErrCond) {
		t.Errorf("delete of what is gone: %v", err)
	}
}
