package gcsstore

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/credentials"
	"cloud.google.com/go/auth/credentials/impersonate"
	"cloud.google.com/go/auth/httptransport"

	"github.com/pailfs/pailfs/objstore"
)

// scope allows all that the account's roles allow.
const scope = "https://www.googleapis.com/auth/cloud-platform"

// newClient returns a client whose requests carry a token where the
// configuration wants one, and where the tokens come from: nil for none. They
// are fetched over the same transport.
func newClient(c Config, transport *http.Transport) (*http.Client, *tokens, error) {
	client := &http.Client{Transport: transport}
	if c.Anonymous || !c.named() && !c.google() {
		if c.ImpersonateServiceAccount != "" {
			return nil, nil, errors.New("impersonation at this endpoint needs a credentials file")
		}
		return client, nil, nil
	}
	t := &tokens{load: func() (*auth.Credentials, error) { return detect(c, &http.Client{Transport: transport}) }}
	creds, err := t.load()
	if err != nil {
		return nil, nil, err
	}
	t.current.Store(creds)
	if err := httptransport.AddAuthorizationMiddleware(client, t.credentials(creds)); err != nil {
		return nil, nil, err
	}
	return client, t, nil
}

func detect(c Config, client *http.Client) (*auth.Credentials, error) {
	// Whoever mounts names the file, or the environment: both are trusted.
	creds, err := credentials.DetectDefault(&credentials.DetectOptions{
		Scopes:           []string{scope},
		CredentialsFile:  c.CredentialsFile,
		CredentialsJSON:  c.CredentialsJSON,
		UseSelfSignedJWT: c.ImpersonateServiceAccount == "", // no request for a token
		Client:           client,
	})
	if err != nil {
		return nil, &credentialsError{fmt.Errorf("find credentials: %w", err)}
	}
	if c.ImpersonateServiceAccount == "" {
		return creds, nil
	}
	caller := &http.Client{Transport: client.Transport}
	if err := httptransport.AddAuthorizationMiddleware(caller, creds); err != nil {
		return nil, err
	}
	creds, err = impersonate.NewCredentials(&impersonate.CredentialsOptions{
		TargetPrincipal: c.ImpersonateServiceAccount,
		Scopes:          []string{scope},
		Client:          caller,
	})
	if err != nil {
		return nil, fmt.Errorf("impersonate %s: %w", c.ImpersonateServiceAccount, err)
	}
	return creds, nil
}

// credentialsError tells a failure to get a token from all others.
type credentialsError struct{ err error }

func (e *credentialsError) Error() string { return "no token: " + e.err.Error() }
func (e *credentialsError) Unwrap() error { return e.err }

// Is says objstore.ErrNoCredentials, unless a token service answered with a
// refusal.
func (e *credentialsError) Is(target error) bool {
	var answered *auth.Error
	return target == objstore.ErrNoCredentials && !errors.As(e.err, &answered)
}

// tokens are those of credentials that can be replaced under a running client.
type tokens struct {
	current atomic.Pointer[auth.Credentials]
	load    func() (*auth.Credentials, error) // from where they come
}

// credentials are creds with the tokens of those that are current.
func (t *tokens) credentials(creds *auth.Credentials) *auth.Credentials {
	return auth.NewCredentials(&auth.CredentialsOptions{
		TokenProvider:          t,
		JSON:                   creds.JSON(),
		ProjectIDProvider:      auth.CredentialsPropertyFunc(creds.ProjectID),
		QuotaProjectIDProvider: auth.CredentialsPropertyFunc(creds.QuotaProjectID),
		UniverseDomainProvider: auth.CredentialsPropertyFunc(creds.UniverseDomain),
	})
}

// Token says of an error that credentials were the matter.
func (t *tokens) Token(ctx context.Context) (*auth.Token, error) {
	token, err := t.current.Load().Token(ctx)
	if err != nil {
		return nil, &credentialsError{err}
	}
	return token, nil
}

// RereadCredentials takes the credentials anew from where they came: file,
// environment, metadata server. After an error the old ones stay in use.
func (s *Store) RereadCredentials(ctx context.Context) error {
	if s.tokens == nil {
		return nil
	}
	creds, err := s.tokens.load()
	if err != nil {
		return err
	}
	if _, err := creds.Token(ctx); err != nil {
		return &credentialsError{err}
	}
	s.tokens.current.Store(creds)
	return nil
}
