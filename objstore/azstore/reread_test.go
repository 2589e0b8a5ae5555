package azstore

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pailfs/pailfs/objstore"
)

// What a credentials file may hold.
func TestCredentialsFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "credentials")
	resolve := func(text string) (Config, error) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return Config{Container: "cont", Account: "acc", CredentialsFile: file}.resolve(func(string) string { return "none" })
	}
	for text, want := range map[string]Config{
		testKey + "\n":           {AccountKey: testKey},
		"?sv=1&sp=rw&sig=S%2B\n": {SAS: "sv=1&sp=rw&sig=S%2B"},
		"https://acc.blob.core.windows.net/cont?sv=1&sig=S":                                {SAS: "sv=1&sig=S"},
		"AccountName=acc;AccountKey=" + testKey + ";EndpointSuffix=core.windows.net\n":     {AccountKey: testKey},
		"BlobEndpoint=https://acc.blob.core.windows.net/;SharedAccessSignature=sv=1&sig=S": {SAS: "sv=1&sig=S"},
	} {
		c, err := resolve(text)
		if err != nil || c.AccountKey != want.AccountKey || c.SAS != want.SAS || c.Account != "acc" {
			t.Errorf("%q: account %q, key %q, signature %q, %v", text, c.Account, c.AccountKey, c.SAS, err)
		}
	}
	if _, err := resolve(" \n"); !errors.Is(err, objstore.ErrNoCredentials) {
		t.Errorf("an empty file: %v", err)
	}
	if _, err := resolve("s3cret"); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("no key: %v", err)
	}
	os.Remove(file)
	c := Config{Container: "cont", Account: "acc", CredentialsFile: file}
	if _, err := c.resolve(environment); !errors.Is(err, objstore.ErrNoCredentials) || !strings.Contains(err.Error(), file) {
		t.Errorf("a missing file: %v", err)
	}
	c.SAS = "sig=S"
	if _, err := c.resolve(environment); err == nil {
		t.Error("a file and a signature")
	}
}

// Credentials that were replaced are used when they are read again, by uploads
// that were begun before too. The service refuses the old ones in its own words.
func TestCredentialsAreReadAgain(t *testing.T) {
	otherKey := "b3RoZXI="
	for name, c := range map[string]struct {
		first, second, spoilt string
		sign                  func(request) string
	}{
		"signature": {"sv=1&sig=first", "sv=1&sig=second", testKey, func(r request) string { return strings.Join(r.query["sig"], " ") }},
		"key":       {testKey, otherKey, "sv=1&sig=x", func(r request) string { return r.header.Get("Authorization") }},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "credentials")
			write := func(text string) {
				t.Helper()
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			write(c.first)
			given := Config{Container: "cont", Account: "acc", CredentialsFile: file}
			var seen []string
			answer := func(r request) *http.Response { return refusal(503, "ServerBusy", "later") }
			s, _ := played(t, func(r request) *http.Response {
				seen = append(seen, c.sign(r))
				return answer(r)
			}, func(c *Config) { c.AccountKey, c.CredentialsFile = "", file })
			s.given = given
			if _, err := s.Stat(t.Context(), "k"); !errors.Is(err, objstore.ErrThrottled) || len(seen) != 3 || name == "signature" && seen[2] != "first" {
				t.Fatalf("%v, signed %q", err, seen)
			}
			u, err := s.NewUpload(t.Context(), "k", objstore.PutOptions{})
			if err != nil {
				t.Fatal(err)
			}
			seen = nil
			answer = func(request) *http.Response { return refusal(403, "AuthenticationFailed", "expired") }
			if err := u.PutPart(t.Context(), 1, text("x")); !errors.Is(err, objstore.ErrCredentials) || !errors.Is(err, objstore.ErrPermission) {
				t.Errorf("a part: %v", err)
			}
			answer = func(request) *http.Response { return refusal(403, "AuthorizationPermissionMismatch", "no") }
			if _, err := s.Stat(t.Context(), "k"); errors.Is(err, objstore.ErrCredentials) || !errors.Is(err, objstore.ErrPermission) {
				t.Errorf("no right: %v", err)
			}
			for _, spoilt := range []string{"", c.spoilt, "BlobEndpoint=https://another.blob.core.windows.net;AccountKey=" + testKey} {
				write(spoilt)
				if err := s.RereadCredentials(t.Context()); err == nil {
					t.Errorf("%q was taken", spoilt)
				}
			}
			write(c.second)
			if err := s.RereadCredentials(t.Context()); err != nil {
				t.Fatal(err)
			}
			seen = nil
			answer = created
			if err := u.PutPart(t.Context(), 1, text("x")); err != nil || len(seen) != 1 || name == "signature" && seen[0] != "second" {
				t.Errorf("signed %q: %v", seen, err)
			}
			// The source of a copy is signed too; as by a store that knows the new one alone.
			fresh, _ := played(t, created, func(c *Config) { c.AccountKey, c.CredentialsFile = "", file })
			now := time.Now()
			s.now, fresh.now = func() time.Time { return now }, func() time.Time { return now }
			got, err1 := s.source(t.Context(), "k")
			want, err2 := fresh.source(t.Context(), "k")
			if errors.Join(err1, err2) != nil || got.url != want.url {
				t.Errorf("the source of a copy: %q, not %q, %v", got.url, want.url, errors.Join(err1, err2))
			}
		})
	}
}
