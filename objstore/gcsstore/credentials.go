package gcsstore

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/credentials"
	"cloud.google.com/go/auth/credentials/impersonate"
	"cloud.google.com/go/auth/httptransport"
)

// scope allows all that the account's roles allow.
const scope = "https://www.googleapis.com/auth/cloud-platform"

// newClient returns a client whose requests carry a token where the
// configuration wants one. Tokens are fetched over the same transport.
func newClient(c Config, transport *http.Transport) (*http.Client, error) {
	client := &http.Client{Transport: transport}
	if c.Anonymous || !c.named() && !c.google() {
		if c.ImpersonateServiceAccount != "" {
			return nil, errors.New("impersonation at this endpoint needs a credentials file")
		}
		return client, nil
	}
	creds, err := detect(c, &http.Client{Transport: transport})
	if err != nil {
		return nil, err
	}
	if err := httptransport.AddAuthorizationMiddleware(client, named(creds)); err != nil {
		return nil, err
	}
	return client, nil
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
		return nil, fmt.Errorf("find credentials: %w", err)
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

func named(creds *auth.Credentials) *auth.Credentials {
	return auth.NewCredentials(&auth.CredentialsOptions{
		TokenProvider:          namedProvider{creds},
		JSON:                   creds.JSON(),
		ProjectIDProvider:      auth.CredentialsPropertyFunc(creds.ProjectID),
		QuotaProjectIDProvider: auth.CredentialsPropertyFunc(creds.QuotaProjectID),
		UniverseDomainProvider: auth.CredentialsPropertyFunc(creds.UniverseDomain),
	})
}

type namedProvider struct{ auth.TokenProvider }

func (p namedProvider) Token(ctx context.Context) (*auth.Token, error) {
	t, err := p.TokenProvider.Token(ctx)
	if err != nil {
		return nil, &credentialsError{err}
	}
	return t, nil
}
