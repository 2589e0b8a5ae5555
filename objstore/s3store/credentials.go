package s3store

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// credentialsError tells a failure to get credentials from all others: the SDK
// has no type for it.
type credentialsError struct{ err error }

func (e *credentialsError) Error() string { return "no credentials: " + e.err.Error() }
func (e *credentialsError) Unwrap() error { return e.err }

func namedCredentials(p aws.CredentialsProvider) aws.CredentialsProvider {
	if p == nil {
		return nil
	}
	return aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
		c, err := p.Retrieve(ctx)
		if err != nil {
			return c, &credentialsError{err}
		}
		return c, nil
	})
}
