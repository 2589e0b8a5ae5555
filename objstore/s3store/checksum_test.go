package s3store

import (
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/pailfs/pailfs/objstore"
)

// A recorder keeps the headers of the requests to a store.
type recorder struct {
	sync.Mutex
	headers []http.Header
}

func (r *recorder) add(req *http.Request) {
	r.Lock()
	defer r.Unlock()
	r.headers = append(r.headers, req.Header.Clone())
}

// A put carries one checksum, in a header, and no second pass for the signature.
func TestPutHeaders(t *testing.T) {
	for algorithm, header := range map[Checksum]string{
		ChecksumAuto: "X-Amz-Checksum-Crc32c", ChecksumCRC32C: "X-Amz-Checksum-Crc32c", ChecksumMD5: "Content-Md5", ChecksumNone: "",
	} {
		var rec recorder
		s := answering(t, func(w http.ResponseWriter, r *http.Request) {
			rec.add(r)
			w.Header().Set("ETag", `"e"`)
			w.Header().Set("x-amz-checksum-crc32c", r.Header.Get("x-amz-checksum-crc32c"))
		}, func(c *Config) { c.Checksum = algorithm })
		if _, err := s.Put(t.Context(), "k", section("body"), objstore.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		if len(rec.headers) != 1 {
			t.Fatalf("%q: %d requests", algorithm, len(rec.headers))
		}
		h := rec.headers[0]
		for _, name := range []string{"X-Amz-Checksum-Crc32c", "Content-Md5"} {
			if (h.Get(name) != "") != (name == header) {
				t.Errorf("%q: %s is %q", algorithm, name, h.Get(name))
			}
		}
		signed := h.Get("X-Amz-Content-Sha256") != "UNSIGNED-PAYLOAD"
		if signed != (algorithm == ChecksumNone) || h.Get("X-Amz-Trailer") != "" || h.Get("Expect") != "" || h.Get("Content-Encoding") != "" {
			t.Errorf("%q: %v", algorithm, h)
		}
	}
}

// TestFallBackToMD5 meets a store that refuses the checksum header.
func TestFallBackToMD5(t *testing.T) {
	for _, message := range []string{
		"<Code>NotImplemented</Code><Message>A header you provided implies functionality that is not implemented.</Message>",
		"<Code>InvalidArgument</Code><Message>Unsupported header 'x-amz-checksum-algorithm' received for this API call.</Message>",
	} {
		var rec recorder
		s := answering(t, func(w http.ResponseWriter, r *http.Request) {
			rec.add(r)
			io.Copy(io.Discard, r.Body)
			switch {
			case r.Header.Get("x-amz-checksum-crc32c") != "", r.Header.Get("x-amz-checksum-algorithm") != "":
				w.WriteHeader(400)
				fmt.Fprintf(w, "<Error>%s</Error>", message)
			case r.URL.Query().Has("uploads"):
				fmt.Fprint(w, "<InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>")
			default:
				w.Header().Set("ETag", `"e"`)
			}
		})
		for range 2 {
			if _, err := s.Put(t.Context(), "k", section("body"), objstore.PutOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		u, err := s.NewUpload(t.Context(), "k", objstore.PutOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := u.PutPart(t.Context(), 1, section("body")); err != nil {
			t.Fatal(err)
		}
		if n := len(rec.headers); n != 5 { // the first put twice
			t.Fatalf("%d requests: %v", n, rec.headers)
		}
		if rec.headers[4].Get("Content-Md5") == "" {
			t.Error("a part without a checksum")
		}
	}
}

// TestStoreThatIgnoresTheChecksum proves a put right by its ETag.
func TestStoreThatIgnoresTheChecksum(t *testing.T) {
	for _, corrupt := range []bool{false, true} {
		var rec recorder
		s := answering(t, func(w http.ResponseWriter, r *http.Request) {
			rec.add(r)
			stored, _ := io.ReadAll(r.Body)
			if corrupt {
				stored = append(stored, '!')
			}
			sum := md5.Sum(stored)
			w.Header().Set("ETag", `"`+hex.EncodeToString(sum[:])+`"`)
		})
		_, err := s.Put(t.Context(), "k", section("body"), objstore.PutOptions{})
		if corrupt != errors.Is(err, objstore.ErrChecksum) || !corrupt && err != nil {
			t.Errorf("corrupt %v: %v", corrupt, err)
		}
		if _, err = s.Put(t.Context(), "k", section("body"), objstore.PutOptions{}); err != nil {
			t.Error(err)
		}
		if h := rec.headers[len(rec.headers)-1]; h.Get("Content-Md5") == "" || h.Get("x-amz-checksum-crc32c") != "" {
			t.Errorf("the next put: %v", h)
		}
	}
}

func TestChecksumOfTheCallerIsSent(t *testing.T) {
	s := open(t)
	_, err := s.Put(t.Context(), "k", section("body"), objstore.PutOptions{Checksums: objstore.Checksums{CRC32C: []byte("1234")}})
	if kindOf(t, err) != objstore.ErrChecksum {
		t.Error(err)
	}
	if _, err := s.Stat(t.Context(), "k"); !errors.Is(err, objstore.ErrNotFound) {
		t.Errorf("a body with a wrong checksum was stored: %v", err)
	}
}

func TestKeysOfAPathStore(t *testing.T) {
	for key, want := range map[string]bool{
		"a": true, "a/b": true, "a/": true, "a/.b": true, "..a": true, strings.Repeat("n", 255): true,
		"": false, "/": false, "/a": false, "a//b": false, "a//": false, "./a": false, "a/..": false, "a/./b": false,
		strings.Repeat("n", 256): false,
	} {
		if got := plainPath(key); got != want {
			t.Errorf("%.20q: %v", key, got)
		}
	}
}
