package s3store

import (
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/internal/wire"
)

func TestCABundle(t *testing.T) {
	t.Setenv("AWS_CA_BUNDLE", "")
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 1 {
			t.Errorf("protocol %s", r.Proto)
		}
		w.Header().Set("ETag", `"v"`)
	}))
	srv.EnableHTTP2 = true
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // of the handshake that must fail
	srv.StartTLS()
	defer srv.Close()
	bundle := filepath.Join(t.TempDir(), "ca.pem")
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	if err := os.WriteFile(bundle, cert, 0o600); err != nil {
		t.Fatal(err)
	}
	c := Config{Bucket: "b", Endpoint: srv.URL, Region: "r", Anonymous: true, Retry: objstore.Retry{Attempts: 1}}

	s, err := newStore(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Stat(t.Context(), "k"); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an unknown authority: %v", err)
	}
	check := func(c Config) {
		t.Helper()
		s, err := newStore(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if o, err := s.Stat(t.Context(), "k"); err != nil || o.Version != "v" {
			t.Errorf("%+v, %v", o, err)
		}
	}
	with := c
	with.CABundle = bundle
	check(with)
	t.Setenv("AWS_CA_BUNDLE", bundle)
	check(c)

	for _, content := range []string{"", "no certificate"} {
		if err := os.WriteFile(bundle, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := New(t.Context(), with); err == nil || !strings.Contains(err.Error(), bundle) {
			t.Errorf("%q: %v", content, err)
		}
	}
}

// TestSilentServer meets a server that takes connections and says nothing, and
// one that stops in the middle of a body.
func TestSilentServer(t *testing.T) {
	stop := make(chan struct{})
	s := answering(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			w.Header().Set("Content-Length", "10")
			w.Write([]byte("12345"))
			w.(http.Flusher).Flush()
		}
		<-stop
	}, func(c *Config) {
		c.RequestTimeout = 50 * time.Millisecond
		c.Retry = objstore.Retry{Attempts: 1}
	})
	defer close(stop)
	if _, err := s.Stat(t.Context(), "k"); !errors.Is(err, objstore.ErrTransient) {
		t.Errorf("stat: %v", err)
	}
	body, _, err := s.Get(t.Context(), "k", objstore.All, objstore.Cond{})
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if _, err := io.ReadAll(body); !errors.Is(err, objstore.ErrTransient) {
		t.Errorf("read: %v", err)
	}
}

// TestConnectionsAreReused sends requests one after the other on one connection.
func TestConnectionsAreReused(t *testing.T) {
	conns := map[string]bool{} // one request at a time
	s := answering(t, func(w http.ResponseWriter, r *http.Request) {
		conns[r.RemoteAddr] = true
		io.Copy(io.Discard, r.Body)
		w.Header().Set("ETag", `"e"`)
	})
	for range 20 {
		if _, err := s.Put(t.Context(), "k", section("x"), objstore.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if len(conns) != 1 {
		t.Errorf("%d connections", len(conns))
	}
}

func TestProxy(t *testing.T) {
	// http.ProxyFromEnvironment reads the environment once per process, so that
	// only its use is checked here.
	s, err := newStore(t.Context(), Config{Bucket: "b", Region: "r", Endpoint: "https://h", Anonymous: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.transport.Proxy == nil || s.transport.MaxIdleConnsPerHost != wire.IdlePerHost || s.transport.Protocols.HTTP2() {
		t.Errorf("%+v", s.transport)
	}
}

func TestConfigIsChecked(t *testing.T) {
	for want, c := range map[string]Config{
		"no name":               {},
		"not the name":          {Bucket: "a/b"},
		"crc32c, md5 or none":   {Bucket: "b", Checksum: "sha9"},
		"go together":           {Bucket: "b", AccessKey: "k"},
		"https://host":          {Bucket: "b", Endpoint: "127.0.0.1:9000"},
		"user name or password": {Bucket: "b", Endpoint: "http://u:s3cret@h"},
		"read the CA bundle":    {Bucket: "b", Endpoint: "http://h", CABundle: "/no/such/file"},
	} {
		_, err := New(t.Context(), c)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
