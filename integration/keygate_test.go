package integration

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"
	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/pailfs/pailfs/integration/servers"
)

// keyGate lets through the requests that are signed with the key of a name, and
// refuses all others.
type keyGate struct {
	nameOf func(*http.Request) string
	takes  func(name string) bool
	refuse func(http.ResponseWriter)
	resign func(*http.Request) // as the server behind wants it; nil leaves it

	mu      sync.Mutex
	name    string
	used    map[string]bool
	refused int
}

func newKeyGate(name string, nameOf func(*http.Request) string, refuse func(http.ResponseWriter)) *keyGate {
	g := &keyGate{nameOf: nameOf, refuse: refuse, name: name, used: map[string]bool{}}
	g.takes = func(name string) bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return name == g.name
	}
	return g
}

// before is a proxy of a server with the gate in front.
func (g *keyGate) before(t *testing.T, server string) *faultProxy {
	p := newFaultProxy(t, server)
	pass := p.pass
	p.pass = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := g.nameOf(r)
		taken := g.takes(name)
		g.mu.Lock()
		if taken {
			g.used[name] = true
		} else {
			g.refused++
		}
		g.mu.Unlock()
		if !taken {
			g.refuse(w)
			return
		}
		if g.resign != nil {
			g.resign(r)
		}
		pass.ServeHTTP(w, r)
	})
	return p
}

// only makes the key of a name the one that is taken.
func (g *keyGate) only(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.name, g.refused = name, 0
}

// refuses waits until a request was refused.
func (g *keyGate) refuses(t *testing.T) {
	t.Helper()
	await(t, "a request that is refused", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.refused > 0
	})
}

// keys is how many were used.
func (g *keyGate) keys() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.used)
}

// gatedS3 puts a gate before the server of a bucket. What it lets through it signs
// with the key that the server knows.
func gatedS3(t *testing.T, p *place, status int, code string) (*faultProxy, *keyGate) {
	ep := p.bucket.endpoint
	credential := regexp.MustCompile(`Credential=([^/]*)/`)
	g := newKeyGate("first", func(r *http.Request) string {
		if m := credential.FindStringSubmatch(r.Header.Get("Authorization")); m != nil {
			return m[1]
		}
		return "none"
	}, func(w http.ResponseWriter) {
		faultStatus(status, code)(w, &http.Request{Body: http.NoBody}, nil, nil)
	})
	g.resign = func(r *http.Request) {
		signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
		r.Header.Del("X-Amz-Security-Token")
		u := *r.URL
		u.Scheme, u.Host = "http", r.Host
		signed := &http.Request{Method: r.Method, URL: &u, Host: r.Host, Header: http.Header{}}
		for name, values := range r.Header {
			if strings.HasPrefix(name, "X-Amz-") {
				signed.Header[name] = values
			}
		}
		creds := aws.Credentials{AccessKeyID: ep.AccessKey, SecretAccessKey: ep.SecretKey}
		if err := signer.SignHTTP(r.Context(), creds, signed, r.Header.Get("X-Amz-Content-Sha256"), "s3", ep.Region, time.Now()); err != nil {
			t.Error(err)
		}
		r.Header.Set("Authorization", signed.Header.Get("Authorization"))
		r.Header.Set("X-Amz-Date", signed.Header.Get("X-Amz-Date"))
	}
	proxy := g.before(t, ep.URL)
	p.source = p.bucket.source("http://" + proxy.addr)
	return proxy, g
}

// keyOfToken is the id of the key that signed the token of a request.
func keyOfToken(r *http.Request) string {
	header, _, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), ".")
	text, err := base64.RawURLEncoding.DecodeString(header)
	var fields struct{ Kid string }
	if err != nil || json.Unmarshal(text, &fields) != nil {
		return "none"
	}
	return fields.Kid
}

// privateKey is one for RSA, as the key file of a service account has it.
func privateKey(t *testing.T) string {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	check(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	check(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// sharedAccess is a signature for all that a mount does in a container.
func sharedAccess(t *testing.T, ep servers.AzureEndpoint, container string, until time.Time) string {
	key, err := service.NewSharedKeyCredential(ep.Account, ep.Key)
	check(t, err)
	q, err := sas.BlobSignatureValues{
		ContainerName: container, ExpiryTime: until.UTC(), Protocol: sas.ProtocolHTTPSandHTTP,
		Permissions: (&sas.ContainerPermissions{List: true, Read: true, Write: true, Create: true, Delete: true}).String(),
	}.SignWithSharedKey(key)
	check(t, err)
	return q.Encode()
}
