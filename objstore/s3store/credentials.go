package s3store

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go"

	"github.com/pailfs/pailfs/objstore"
)

// credentialsError tells a failure to get credentials from all others: the SDK
// has no type for it.
type credentialsError struct{ err error }

func (e *credentialsError) Error() string { return "no credentials: " + e.err.Error() }
func (e *credentialsError) Unwrap() error { return e.err }

// Is says objstore.ErrNoCredentials, unless a token service answered with a
// refusal.
func (e *credentialsError) Is(target error) bool {
	var refused smithy.APIError
	return target == objstore.ErrNoCredentials && !errors.As(e.err, &refused)
}

// loadError is that of the SDK's configuration. A profile that does not exist
// is one whose file may not be there yet.
func loadError(err error) error {
	if missing := (config.SharedConfigProfileNotExistError{}); errors.As(err, &missing) {
		return fmt.Errorf("s3: %w", &credentialsError{err})
	}
	return fmt.Errorf("s3: load the configuration: %w", err)
}

// credentialsSource is a provider that can be replaced under a running client:
// the SDK reads a profile once.
type credentialsSource struct {
	current atomic.Pointer[aws.CredentialsProvider]
	load    func(context.Context) (aws.CredentialsProvider, error) // from where they come
}

// Retrieve says of an error that credentials were the matter.
func (s *credentialsSource) Retrieve(ctx context.Context) (aws.Credentials, error) {
	p := *s.current.Load()
	if p == nil {
		return aws.Credentials{}, &credentialsError{errors.New("no source of any is configured")}
	}
	c, err := p.Retrieve(ctx)
	if err != nil {
		return c, &credentialsError{err}
	}
	return c, nil
}

// signer is the SDK's one. That remembers the key which it derives from a secret
// under the name of the access key alone, so another secret needs a new one.
type signer struct{ current atomic.Pointer[v4.Signer] }

func newSigner() *signer {
	s := &signer{}
	s.renew()
	return s
}

func (s *signer) renew() {
	// S3 signs paths as they are; see the SDK's newDefaultV4Signer.
	s.current.Store(v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }))
}

func (s *signer) SignHTTP(ctx context.Context, c aws.Credentials, r *http.Request, payloadHash, service, region string, at time.Time, opt ...func(*v4.SignerOptions)) error {
	return s.current.Load().SignHTTP(ctx, c, r, payloadHash, service, region, at, opt...)
}

// RereadCredentials takes the credentials anew from where they came: profile,
// web identity, instance metadata. After an error the old ones stay in use.
func (s *Store) RereadCredentials(ctx context.Context) error {
	if s.credentials == nil {
		return nil
	}
	p, err := s.credentials.load(ctx)
	if err != nil {
		return err
	}
	if p != nil {
		if _, err := p.Retrieve(ctx); err != nil {
			return &credentialsError{err}
		}
	}
	s.credentials.current.Store(&p)
	s.signer.renew()
	return nil
}
