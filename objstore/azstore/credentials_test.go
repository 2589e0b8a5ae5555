package azstore

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"

	"github.com/pailfs/pailfs/integration/servers"
	"github.com/pailfs/pailfs/objstore"
)

type fakeToken struct {
	token string
	err   error
}

func (f fakeToken) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: f.token, ExpiresOn: time.Now().Add(time.Hour)}, f.err
}

// tried lists a container through its own credentials.
func tried(t *testing.T, c Config) error {
	t.Helper()
	s, err := newStore(c)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, err = s.List(t.Context(), objstore.ListRequest{})
	return err
}

// Each way to be known to the service, at the emulator.
func TestAuthentication(t *testing.T) {
	ep := servers.Azure(t)
	name := servers.AzureContainer(t, ep)
	key, err := service.NewSharedKeyCredential(ep.Account, ep.Key)
	if err != nil {
		t.Fatal(err)
	}
	q, err := sas.BlobSignatureValues{
		ContainerName: name, Permissions: (&sas.ContainerPermissions{List: true, Read: true, Write: true, Create: true, Delete: true}).String(),
		ExpiryTime: time.Now().Add(time.Hour).UTC(), Protocol: sas.ProtocolHTTPSandHTTP,
	}.SignWithSharedKey(key)
	if err != nil {
		t.Fatal(err)
	}
	connection := "AccountName=" + ep.Account + ";AccountKey=" + ep.Key + ";BlobEndpoint=" + ep.URL + ";"
	for what, c := range map[string]Config{
		"shared key":            {Endpoint: ep.URL, AccountKey: ep.Key},
		"well-known account":    {Endpoint: ep.Host()},
		"connection string":     {ConnectionString: connection},
		"signature":             {Endpoint: ep.URL, SAS: q.Encode()},
		"signature in a string": {ConnectionString: "BlobEndpoint=" + ep.URL + ";SharedAccessSignature=" + q.Encode()},
	} {
		c.Container = name
		if err := tried(t, c); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	t.Setenv("AZURE_STORAGE_CONNECTION_STRING", connection)
	if err := tried(t, Config{Container: name}); err != nil {
		t.Errorf("environment: %v", err)
	}
	t.Setenv("AZURE_STORAGE_CONNECTION_STRING", "")
	for what, c := range map[string]Config{
		"another key":           {Endpoint: ep.URL, AccountKey: testKey},
		"no key":                {Endpoint: ep.URL, Anonymous: true},
		"a signature of nobody": {Endpoint: ep.URL, SAS: "sv=2021-01-01&sp=rl&sr=c&se=2099-01-01T00:00:00Z&sig=AAAA"},
	} {
		c.Container = name
		err := tried(t, c)
		// To the anonymous the service hides that there is such a container.
		if !errors.Is(err, objstore.ErrPermission) && !(c.Anonymous && errors.Is(err, objstore.ErrNotFound)) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// The default chain, at a service and a token service that are played: a managed
// identity as App Service and Container Apps have it.
func TestManagedIdentity(t *testing.T) {
	var seen string
	blob := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = r.Header.Get("Authorization")
		w.Header().Set("Content-Type", "application/xml")
		fmt.Fprint(w, `<?xml version="1.0"?><EnumerationResults><Blobs></Blobs><NextMarker /></EnumerationResults>`)
	}))
	defer blob.Close()
	answer := func(w http.ResponseWriter) { http.Error(w, `{"error":"no such identity"}`, http.StatusBadRequest) }
	var asked string
	identity := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.Query().Get("resource")
		answer(w)
	}))
	defer identity.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: blob.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("IDENTITY_ENDPOINT", identity.URL)
	t.Setenv("IDENTITY_HEADER", "header")
	t.Setenv("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")
	t.Setenv("AZURE_CLIENT_ID", "")
	os.Unsetenv("AZURE_CLIENT_ID") // set to nothing it is no identity
	c := Config{Container: "cont", Endpoint: blob.URL + "/acc", CABundle: ca, Retry: objstore.Retry{Attempts: 1}}
	err := tried(t, c)
	if !errors.Is(err, objstore.ErrPermission) || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "no token") {
		t.Errorf("refused: %v", err)
	}
	answer = func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"access_token":"TOKEN","expires_on":"%d","resource":"https://storage.azure.com","token_type":"Bearer"}`, time.Now().Add(time.Hour).Unix())
	}
	if err := tried(t, c); err != nil || seen != "Bearer TOKEN" || asked != "https://storage.azure.com" {
		t.Errorf("%v: token %q for %q", err, seen, asked)
	}
	c.CABundle = ""
	if err := tried(t, c); !errors.Is(err, objstore.ErrPermission) && !errors.Is(err, objstore.ErrOther) {
		t.Errorf("untrusted: %v", err)
	}
}

func TestNoToken(t *testing.T) {
	for _, tt := range []struct {
		err  error
		kind error
		none bool
	}{
		{errors.New("DefaultAzureCredential: failed to acquire a token.\nAttempted credentials:\n\tEnvironmentCredential: missing"), objstore.ErrPermission, true},
		{context.DeadlineExceeded, objstore.ErrTransient, true},
	} {
		token := namedToken{fakeToken{err: tt.err}}
		_, err := token.GetToken(t.Context(), policy.TokenRequestOptions{})
		s := &Store{}
		err = s.classify("stat", "k", err)
		if !errors.Is(err, tt.kind) || errors.Is(err, objstore.ErrNoCredentials) != tt.none || strings.ContainsAny(err.Error(), "\n\t") {
			t.Errorf("%v: %v", tt.err, err)
		}
	}
}
