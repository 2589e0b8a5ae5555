package azstore

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/pailfs/pailfs/objstore"
)

// fromFile takes the credentials from the file. A file that is not there, or
// empty, may yet come.
func (c *Config) fromFile() error {
	b, err := os.ReadFile(c.CredentialsFile)
	text := strings.TrimSpace(string(b))
	if err == nil && text == "" {
		err = fmt.Errorf("%s is empty", c.CredentialsFile)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", objstore.ErrNoCredentials, err)
	}
	switch lower := strings.ToLower(text); {
	case strings.Contains(lower, "accountkey="), strings.Contains(lower, "sharedaccesssignature="), strings.HasPrefix(lower, "usedevelopmentstorage="):
		c.ConnectionString = text
	case strings.Contains(lower, "sig="):
		if _, query, isURL := strings.Cut(text, "?"); isURL {
			text = query
		}
		c.SAS = text
	default:
		c.AccountKey = text
	}
	return nil
}

// RereadCredentials takes a key or signature anew from the credentials file; the
// tokens of Entra ID are renewed by themselves. After an error the old one stays
// in use.
func (s *Store) RereadCredentials(context.Context) error {
	if s.given.CredentialsFile == "" {
		return nil
	}
	c, err := s.given.resolve(environment)
	switch {
	case err != nil:
		return fmt.Errorf("azure: %w", err)
	case c.Account != s.cfg.Account || c.Endpoint != s.cfg.Endpoint:
		return fmt.Errorf("azure: %s is of the account %q now, not %q: mount it apart", s.given.CredentialsFile, c.Account, s.cfg.Account)
	case c.AccountKey != "" && s.key != nil:
		return s.key.SetAccountKey(c.AccountKey)
	case c.SAS != "" && s.signature != nil:
		s.signature.query.Store(&c.SAS)
		return nil
	}
	return errors.New("azure: a key does not take the place of a signature, nor the other way: mount again")
}

// A signature authorizes each request by its query, and can be replaced under a
// running client.
type signature struct{ query atomic.Pointer[string] }

func newSignature(query string) *signature {
	s := &signature{}
	s.query.Store(&query)
	return s
}

func (s *signature) get() string { return *s.query.Load() }

// Do makes it a policy that comes after that of the retries.
func (s *signature) Do(req *policy.Request) (*http.Response, error) {
	u := req.Raw().URL
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += s.get()
	return req.Next()
}
