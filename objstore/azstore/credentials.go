package azstore

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"

	"github.com/pailfs/pailfs/objstore"
)

// scope is the audience of tokens for storage, in every cloud
// (learn.microsoft.com/azure/storage/blobs/authorize-access-azure-active-directory).
const scope = "https://storage.azure.com/.default"

// access is the SDK's client of the container, and what authorizes its requests:
// one of the three, or none.
type access struct {
	client    *container.Client
	options   azcore.ClientOptions // of every client
	key       *container.SharedKeyCredential
	signature *signature
	token     azcore.TokenCredential
}

func newAccess(c Config, transport policy.Transporter) (a access, err error) {
	url := c.Endpoint + "/" + c.Container
	a.options = clientOptions(c, transport)
	options := &container.ClientOptions{ClientOptions: a.options}
	switch {
	case c.AccountKey != "":
		if a.key, err = container.NewSharedKeyCredential(c.Account, c.AccountKey); err != nil {
			return a, errors.New("the account key is not base64")
		}
		a.client, err = container.NewClientWithSharedKeyCredential(url, a.key, options)
		return a, err
	case c.SAS != "":
		a.signature = newSignature(c.SAS)
		options.PerRetryPolicies = append(options.PerRetryPolicies, a.signature)
		a.client, err = container.NewClientWithNoCredential(url, options)
		return a, err
	case c.Anonymous:
		a.client, err = container.NewClientWithNoCredential(url, options)
		return a, err
	}
	chain, err := azidentity.NewDefaultAzureCredential(&azidentity.DefaultAzureCredentialOptions{ClientOptions: a.options})
	if err != nil {
		return a, err
	}
	a.token = namedToken{chain}
	a.client, err = container.NewClient(url, a.token, options)
	return a, err
}

// clientOptions are those of every client: ours to connect, to retry and to be
// known by.
func clientOptions(c Config, transport policy.Transporter) azcore.ClientOptions {
	return azcore.ClientOptions{
		Transport:        transport,
		Retry:            retryOptions(c.Retry),
		PerRetryPolicies: []policy.Policy{watcher{}},
		Telemetry:        policy.TelemetryOptions{ApplicationID: "pailfs"},
	}
}

// credentialsError tells a failure to get a token from all others.
type credentialsError struct{ err error }

// Error is one line of what may be a page of everything that was tried.
func (e *credentialsError) Error() string {
	return "no token: " + strings.Join(strings.Fields(strings.ReplaceAll(e.err.Error(), "\t", " ")), " ")
}
func (e *credentialsError) Unwrap() error { return e.err }

// NonRetriable tells the SDK so: the token service was tried again already.
func (e *credentialsError) NonRetriable() {}

// Is says objstore.ErrNoCredentials, unless a token service answered with a
// refusal.
func (e *credentialsError) Is(target error) bool {
	return target == objstore.ErrNoCredentials && e.answer() == nil
}

// answer is what a token service answered; nil for nothing.
func (e *credentialsError) answer() *http.Response {
	var refused *azidentity.AuthenticationFailedError
	if errors.As(e.err, &refused) {
		return refused.RawResponse
	}
	return nil
}

type namedToken struct{ azcore.TokenCredential }

func (t namedToken) GetToken(ctx context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	token, err := t.TokenCredential.GetToken(ctx, o)
	if err != nil && ctx.Err() == nil {
		err = &credentialsError{err}
	}
	return token, err
}

// A source is the address of a blob as another request names it, and the token
// that lets the service read it.
type source struct {
	url           string
	authorization *string
}

// source makes the address of a blob readable for the service itself: one that
// copies is authorized for its target only.
func (s *Store) source(ctx context.Context, key string) (source, error) {
	src := source{url: s.blob(key).URL()}
	switch {
	case s.signature != nil:
		src.url += "?" + s.signature.get()
	case s.key != nil:
		q, err := sas.BlobSignatureValues{
			ContainerName: s.cfg.Container, BlobName: key,
			Permissions: (&sas.BlobPermissions{Read: true}).String(),
			ExpiryTime:  s.now().Add(signed).UTC(),
		}.SignWithSharedKey(s.key)
		if err != nil {
			return source{}, err
		}
		src.url += "?" + q.Encode()
	case s.token != nil:
		t, err := s.token.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{scope}})
		if err != nil {
			return source{}, err
		}
		bearer := "Bearer " + t.Token
		src.authorization = &bearer
	}
	return src, nil
}
