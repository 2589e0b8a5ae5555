package s3store

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pailfs/pailfs/objstore"
)

var scope = regexp.MustCompile(`Credential=[^/]+/[0-9]+/([^/]+)/s3`)

// anywhere returns a store whose requests, to whatever host, h answers.
func anywhere(t *testing.T, c Config, h http.HandlerFunc) *Store {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	c.Bucket, c.AccessKey, c.SecretKey = "bucket", "key", "s3cret"
	c.Retry = objstore.Retry{Attempts: 1}
	s, err := newStore(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	s.transport.Proxy = nil
	s.transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if strings.HasPrefix(addr, "bucket.nowhere") {
			return nil, &net.DNSError{Err: "no such host", Name: addr, IsNotFound: true}
		}
		return new(net.Dialer).DialContext(ctx, network, srv.Listener.Addr().String())
	}
	return s
}

// TestLocate meets endpoints that want another region or another address, each
// in its own words.
func TestLocate(t *testing.T) {
	const list = "<ListBucketResult></ListBucketResult>"
	malformed := func(w http.ResponseWriter, rest string) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, "<Error><Code>AuthorizationHeaderMalformed</Code>%s</Error>", rest)
	}
	wrongRegion := func(how func(http.ResponseWriter)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if m := scope.FindStringSubmatch(r.Header.Get("Authorization")); m != nil && m[1] == "eu-north-9" {
				io.WriteString(w, list)
				return
			}
			how(w)
		}
	}
	redirect := func(status int) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			w.Header().Set("x-amz-bucket-region", "eu-north-9")
			w.WriteHeader(status)
			io.WriteString(w, "<Error><Code>PermanentRedirect</Code></Error>")
		}
	}
	style := func(code string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.Host, "bucket.") {
				io.WriteString(w, list)
				return
			}
			refuse(w, http.StatusForbidden, code)
		}
	}
	off := false
	for _, tt := range []struct {
		name      string
		c         Config
		h         http.HandlerFunc
		region    string
		pathStyle bool
		requests  int
	}{
		{"nothing is wrong", Config{Endpoint: "http://s3.test", Region: "r"}, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, list) }, "r", true, 1},
		{"refused", Config{Endpoint: "http://s3.test", Region: "r"}, func(w http.ResponseWriter, _ *http.Request) { refuse(w, 403, "AccessDenied") }, "r", true, 1},
		{"moved", Config{Endpoint: "http://s3.test", Region: "r"}, wrongRegion(redirect(301)), "eu-north-9", true, 2},
		{"redirected", Config{Endpoint: "http://s3.test", Region: "r"}, wrongRegion(redirect(307)), "eu-north-9", true, 2},
		{"region in a header", Config{Endpoint: "http://s3.test", Region: "r"}, wrongRegion(redirect(400)), "eu-north-9", true, 2},
		{"region in the body", Config{Endpoint: "http://s3.test", Region: "r"},
			wrongRegion(func(w http.ResponseWriter) { malformed(w, "<Region>eu-north-9</Region>") }), "eu-north-9", true, 2},
		{"region in the message", Config{Endpoint: "http://s3.test", Region: "r"},
			wrongRegion(func(w http.ResponseWriter) {
				malformed(w, "<Message>The authorization header is malformed; the region is wrong; expecting 'eu-north-9'.</Message>")
			}), "eu-north-9", true, 2},
		{"no region given", Config{Endpoint: "http://s3.test"}, wrongRegion(redirect(301)), "eu-north-9", true, 2},
		{"Alibaba", Config{Endpoint: "http://s3.test", Region: "r"}, style("SecondLevelDomainForbidden"), "r", false, 2},
		{"Tencent", Config{Endpoint: "http://s3.test", Region: "r"}, style("PathStyleDomainForbidden"), "r", false, 2},
		{"the user knows better", Config{Endpoint: "http://nowhere.test", Region: "r", PathStyle: &off},
			func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, list) }, "r", false, 0},
		{"an address", Config{Endpoint: "http://127.0.0.1:9", Region: "r", PathStyle: &off},
			func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, list) }, "r", false, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("AWS_REGION", "")
			t.Setenv("AWS_DEFAULT_REGION", "")
			var hosts []string
			s := anywhere(t, tt.c, func(w http.ResponseWriter, r *http.Request) {
				hosts = append(hosts, r.Host+r.URL.Path)
				tt.h(w, r)
			})
			if err := s.locate(t.Context()); err != nil {
				t.Fatal(err)
			}
			if s.client.Options().Region != tt.region || s.cfg.Region != tt.region || s.client.Options().UsePathStyle != tt.pathStyle || len(hosts) != tt.requests {
				t.Errorf("region %s and %s, path style %v, requests %v", s.client.Options().Region, s.cfg.Region, s.client.Options().UsePathStyle, hosts)
			}
			if tt.name == "an address" && !slices.Equal(hosts, []string{"127.0.0.1:9/bucket"}) { // a bucket has no host name there
				t.Errorf("requests %v", hosts)
			}
		})
	}
}

// TestLocateWhereTheHostIsMissing: a bucket in the host name that has no address
// goes into the path.
func TestLocateWhereTheHostIsMissing(t *testing.T) {
	var hosts []string
	s := anywhere(t, Config{Endpoint: "http://nowhere.amazonaws.com", Region: "r"}, func(w http.ResponseWriter, r *http.Request) {
		hosts = append(hosts, r.Host+r.URL.Path)
		io.WriteString(w, "<ListBucketResult></ListBucketResult>")
	})
	if err := s.locate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(hosts, []string{"nowhere.amazonaws.com/bucket"}) {
		t.Errorf("requests %v", hosts)
	}
}

// TestLocateEndsWithItsContext: who mounts waits no longer than he said.
func TestLocateEndsWithItsContext(t *testing.T) {
	stop := make(chan struct{})
	s := anywhere(t, Config{Endpoint: "http://s3.test", Region: "r", Log: slog.New(slog.DiscardHandler)}, func(http.ResponseWriter, *http.Request) { <-stop })
	defer close(stop)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.locate(ctx); err == nil {
		t.Error("no error")
	}
}
