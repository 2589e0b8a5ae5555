package gcsstore

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"google.golang.org/api/googleapi"

	"github.com/pailfs/pailfs/objstore"
)

// world stands for every host there is, and keeps what it was asked.
type world struct {
	transport *http.Transport
	addr      string
	before    func(*Store) // the request of stat, when set

	mu   sync.Mutex
	seen []string // host, path and token of each request
}

func newWorld(t *testing.T, answers map[string]string) *world {
	t.Helper()
	w := &world{}
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		token, _, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), ".")
		w.mu.Lock()
		w.seen = append(w.seen, strings.TrimSpace(r.Host+r.URL.Path+" "+token))
		w.mu.Unlock()
		rw.Header().Set("Content-Type", "application/json")
		for suffix, answer := range answers {
			if strings.HasSuffix(r.URL.Path, suffix) {
				rw.Write([]byte(answer))
				return
			}
		}
		http.Error(rw, `{"error":{"code":403}}`, http.StatusForbidden)
	}))
	t.Cleanup(srv.Close)
	w.addr = srv.Listener.Addr().String()
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, w.addr)
	}
	w.transport = &http.Transport{DialContext: dial, DialTLSContext: dial}
	return w
}

// stat asks for one object, and returns the requests that this took.
func (w *world) stat(t *testing.T, c Config) ([]string, error) {
	t.Helper()
	c.Bucket = "b"
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		t.Fatal(err)
	}
	client, tokens, err := newClient(c, w.transport)
	if err != nil {
		return nil, err
	}
	s, err := newStoreWith(t.Context(), c, client, w.transport)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.tokens = tokens
	if w.before != nil {
		w.before(s)
	}
	_, err = s.Stat(t.Context(), "k")
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen, err
}

const (
	aToken    = `{"access_token":"a-token","token_type":"Bearer","expires_in":3600}`
	anObject  = `{"name":"k","generation":"7","size":"0"}`
	objectURL = "storage.googleapis.com/storage/v1/b/b/o/k"
)

func write(t *testing.T, name string, v any) string {
	t.Helper()
	raw, ok := v.(string)
	if !ok {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		raw = string(b)
	}
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(raw), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// keyFile is the key of a service account.
func keyFile(t *testing.T) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, "key.json", map[string]string{
		"type": "service_account", "project_id": "p", "private_key_id": "1", "client_email": "a@p.iam.gserviceaccount.com",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		"token_uri":   "https://oauth2.googleapis.com/token",
	})
}

func TestCredentials(t *testing.T) {
	answers := map[string]string{
		"/o/k": anObject, "/token": aToken,
		":generateAccessToken": `{"accessToken":"another-token","expireTime":"2100-01-01T00:00:00Z"}`,
	}
	user := map[string]string{"type": "authorized_user", "client_id": "i", "client_secret": "s", "refresh_token": "r"}
	federated := map[string]any{
		"type": "external_account", "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
		"subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "token_url": "https://sts.googleapis.com/v1/token",
		"credential_source": map[string]string{"file": write(t, "subject", "subject-token")},
	}
	key := keyFile(t)
	content, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	const signed = "eyJ" // a token that the key signed, without a request
	for _, tt := range []struct {
		name string
		c    Config
		adc  any // what GOOGLE_APPLICATION_CREDENTIALS names
		want []string
	}{
		{"anonymous", Config{Anonymous: true}, user, []string{objectURL}},
		{"key file", Config{CredentialsFile: key}, nil, []string{objectURL + " " + signed}},
		{"content of a key file", Config{CredentialsJSON: content}, nil, []string{objectURL + " " + signed}},
		{"key file elsewhere", Config{CredentialsFile: key, Endpoint: "http://127.0.0.1:4443/storage/v1"}, nil,
			[]string{"127.0.0.1:4443/storage/v1/b/b/o/k " + signed}},
		{"environment", Config{}, user, []string{"oauth2.googleapis.com/token", objectURL + " a-token"}},
		{"environment elsewhere", Config{Endpoint: "http://127.0.0.1:4443"}, user, []string{"127.0.0.1:4443/storage/v1/b/b/o/k"}},
		{"workload identity federation", Config{CredentialsFile: write(t, "federated.json", federated)}, nil,
			[]string{"sts.googleapis.com/v1/token", objectURL + " a-token"}},
		{"impersonation", Config{ImpersonateServiceAccount: "b@p.iam.gserviceaccount.com"}, user, []string{"oauth2.googleapis.com/token",
			"iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/b@p.iam.gserviceaccount.com:generateAccessToken a-token",
			objectURL + " another-token"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.adc != nil {
				t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", write(t, "adc.json", tt.adc))
			}
			seen, err := newWorld(t, answers).stat(t, tt.c)
			if err != nil {
				t.Fatal(err)
			}
			for i := range seen {
				if before, after, ok := strings.Cut(seen[i], " "+signed); ok && after != "" {
					seen[i] = before + " " + signed
				}
			}
			if strings.Join(seen, "\n") != strings.Join(tt.want, "\n") {
				t.Errorf("asked %q, want %q", seen, tt.want)
			}
		})
	}
}

// On a machine of Google's the metadata server has the token; it is asked at the
// first request, not before.
func TestMetadataServer(t *testing.T) {
	w := newWorld(t, map[string]string{"/o/k": anObject, "/token": aToken})
	t.Setenv("GCE_METADATA_HOST", w.addr)
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
	t.Setenv("HOME", t.TempDir())
	seen, err := w.stat(t, Config{})
	if err != nil {
		t.Fatal(err)
	}
	last := seen[len(seen)-1]
	if !strings.HasPrefix(seen[0], w.addr+"/computeMetadata/") || last != objectURL+" a-token" {
		t.Errorf("asked %q", seen)
	}
}

func TestRefusedCredentials(t *testing.T) {
	w := newWorld(t, nil)
	_, err := w.stat(t, Config{CredentialsFile: write(t, "user.json",
		map[string]string{"type": "authorized_user", "client_id": "i", "client_secret": "s3cret", "refresh_token": "r3fresh"})})
	if !errors.Is(err, objstore.ErrPermission) {
		t.Errorf("stat: %v", err)
	}
	if strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "r3fresh") {
		t.Errorf("a secret shows: %v", err)
	}
	if n := len(w.seen); n != 1 {
		t.Errorf("asked %q", w.seen)
	}
	if _, err := w.stat(t, Config{CredentialsFile: "/no/such/file"}); err == nil || !strings.Contains(err.Error(), "/no/such/file") {
		t.Errorf("a missing file: %v", err)
	}
}

func TestConfigRefuses(t *testing.T) {
	for want, c := range map[string]Config{
		"no name":               {},
		"not the name":          {Bucket: "a/b"},
		"anonymous":             {Bucket: "b", Anonymous: true, CredentialsFile: "/f"},
		"endpoint must look":    {Bucket: "b", Endpoint: "ftp://h"},
		"user name or password": {Bucket: "b", Endpoint: "http://u:p@h"},
		"end in a slash":        {Bucket: "b", Private: "x"},
		"CA bundle":             {Bucket: "b", Anonymous: true, CABundle: "/no/such/file"},
		"needs a credentials":   {Bucket: "b", Endpoint: "http://h", ImpersonateServiceAccount: "a@b"},
	} {
		if _, err := New(t.Context(), c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", c, err, want)
		}
	}
	t.Setenv("STORAGE_EMULATOR_HOST", "localhost:4443")
	if got := (Config{}).withDefaults().api(); got != "http://localhost:4443/storage/v1/" {
		t.Errorf("the endpoint of the environment is %q", got)
	}
}

// Credentials that were replaced are used when they are read again; those that
// cannot be read leave the old ones in use. Missing is not refused.
func TestCredentialsAreReadAgain(t *testing.T) {
	w := newWorld(t, map[string]string{"/o/k": anObject})
	file := keyFile(t)
	w.before = func(s *Store) {
		if err := os.WriteFile(file, []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.RereadCredentials(t.Context()); err == nil {
			t.Error("spoilt credentials were taken")
		}
		if _, err := s.Stat(t.Context(), "k"); err != nil {
			t.Errorf("with the old credentials: %v", err)
		}
		replaced, err := os.ReadFile(keyFile(t))
		if err == nil {
			err = os.WriteFile(file, bytes.Replace(replaced, []byte(`"1"`), []byte(`"second"`), 1), 0o600)
		}
		if err == nil {
			err = s.RereadCredentials(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	seen, err := w.stat(t, Config{CredentialsFile: file})
	if err != nil || len(seen) != 2 || seen[0] == seen[1] {
		t.Errorf("asked %q, %v: the key id in the token must be another", seen, err)
	}
	w.before = nil
	if _, err := w.stat(t, Config{CredentialsFile: "/no/such/file"}); !errors.Is(err, objstore.ErrNoCredentials) {
		t.Errorf("a missing file: %v", err)
	}
	refused := write(t, "user.json", map[string]string{"type": "authorized_user", "client_id": "i", "client_secret": "s", "refresh_token": "r"})
	if _, err := w.stat(t, Config{CredentialsFile: refused}); err == nil || errors.Is(err, objstore.ErrNoCredentials) {
		t.Errorf("refused ones: %v", err)
	}
}

// An answer that is about the credentials is told from one about the right.
func TestCredentialsAreRefused(t *testing.T) {
	for status, want := range map[int]bool{http.StatusUnauthorized: true, http.StatusForbidden: false} {
		s := &Store{}
		err := s.classify("stat", "k", &googleapi.Error{Code: status})
		if !errors.Is(err, objstore.ErrPermission) || errors.Is(err, objstore.ErrCredentials) != want {
			t.Errorf("%d: %v", status, err)
		}
	}
	s := &Store{}
	if err := s.classify("stat", "k", &credentialsError{errors.New("x")}); !errors.Is(err, objstore.ErrCredentials) {
		t.Errorf("no token: %v", err)
	}
}
