package azstore

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"

	"github.com/pailfs/pailfs/objstore"
)

// Store is one container.
type Store struct {
	access
	transport *http.Transport
	given     Config // as New was given it
	cfg       Config // with what was left out
	now       func() time.Time

	noCopies atomic.Bool // the endpoint cannot copy from a URL
}

var (
	_ objstore.Store        = (*Store)(nil)
	_ objstore.Upload       = (*upload)(nil)
	_ objstore.PartCopier   = (*upload)(nil)
	_ objstore.LateMetadata = (*upload)(nil)
)

// New returns the store of one container. At Microsoft's endpoints it asks
// whether the account has a hierarchical namespace, which is refused: see
// checkFlat. That it cannot ask is no error: the first request proper will tell
// what is wrong.
func New(ctx context.Context, c Config) (objstore.Store, error) {
	s, err := newStore(c)
	if err != nil {
		return nil, err
	}
	if s.cfg.azure() {
		if err := s.checkFlat(ctx); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	return s, nil
}

func newStore(given Config) (*Store, error) {
	c, err := given.resolve(environment)
	if err != nil {
		return nil, fmt.Errorf("azure: %w", err)
	}
	transport, err := c.network().Transport()
	if err != nil {
		return nil, fmt.Errorf("azure: %w", err)
	}
	s, err := newStoreWith(c, &http.Client{Transport: transport}, transport)
	if err != nil {
		return nil, err
	}
	s.given = given
	return s, nil
}

// newStoreWith is newStore over a client that is ready.
func newStoreWith(c Config, client policy.Transporter, transport *http.Transport) (*Store, error) {
	s := &Store{transport: transport, cfg: c, now: time.Now}
	var err error
	if s.access, err = newAccess(c, client); err != nil {
		return nil, fmt.Errorf("azure: %w", err)
	}
	return s, nil
}

func (s *Store) blob(key string) *blob.Client           { return s.client.NewBlobClient(key) }
func (s *Store) blockBlob(key string) *blockblob.Client { return s.client.NewBlockBlobClient(key) }

// Close drops the idle connections.
func (s *Store) Close() error {
	s.transport.CloseIdleConnections()
	return nil
}

// Make makes the container.
func (s *Store) Make(ctx context.Context) error {
	_, err := s.client.Create(ctx, nil)
	return s.classify("make", "", err)
}

// checkFlat refuses an account with a hierarchical namespace: its directories
// are blobs of their own, without the slash at the end of our markers, and its
// blobs cannot be told from them by name.
func (s *Store) checkFlat(ctx context.Context) error {
	account, err := s.client.GetAccountInfo(ctx, nil)
	switch {
	case err != nil:
		s.cfg.Log.Debug("the kind of the account is not known", "account", s.cfg.Account, "err", s.classify("account", "", err))
	case account.IsHierarchicalNamespaceEnabled != nil && *account.IsHierarchicalNamespaceEnabled:
		return &objstore.Error{Op: "account", Kind: objstore.ErrUnsupported,
			Err: fmt.Errorf("the account %q has a hierarchical namespace (Data Lake Storage), which is not supported: use an account without", s.cfg.Account)}
	}
	return nil
}

// Limits of names, from "Naming and referencing containers, blobs, and
// metadata" in the REST API reference, in characters of UTF-16 and in elements.
const (
	maxKey      = 1024
	maxElements = 254
)

var (
	errKey  = errors.New("Blob Storage holds keys of 1 to 1024 characters and 254 elements, of Unicode without control characters")
	errName = errors.New(`Blob Storage takes a backslash for a slash and drops a dot at the end of a name, so that such a key would be another's`)
)

// checkKey refuses the keys that the service cannot hold, or takes for another.
func checkKey(op, key string) error {
	var err error
	switch {
	case key == "", utf16Len(key) > maxKey, strings.Count(strings.TrimSuffix(key, "/"), "/") >= maxElements,
		!utf8.ValidString(key), strings.ContainsFunc(key, unfit):
		err = errKey
	case strings.Contains(key, `\`), strings.HasSuffix(key, "."), strings.Contains(key, "./"):
		err = errName
	default:
		return nil
	}
	return &objstore.Error{Op: op, Key: key, Kind: objstore.ErrUnsupported, Err: err}
}

// unfit says whether the service has no such character in names: controls of
// both kinds, and what is no character.
func unfit(r rune) bool {
	return r < ' ' || r >= 0x7f && r <= 0x9f || r == 0xFFFE || r == 0xFFFF
}

func utf16Len(s string) (n int) {
	for _, r := range s {
		n++
		if r > 0xFFFF {
			n++
		}
	}
	return n
}
