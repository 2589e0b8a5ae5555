package gcsstore

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"cloud.google.com/go/storage"
	"google.golang.org/api/option"
	raw "google.golang.org/api/storage/v1"

	"github.com/pailfs/pailfs/internal/registry"
	"github.com/pailfs/pailfs/objstore"
)

// Store is one bucket.
type Store struct {
	client    *storage.Client
	raw       *raw.Service // for what the client does not offer
	transport *http.Transport
	cfg       Config
	tokens    *tokens // nil without credentials

	facts atomic.Pointer[facts]

	class struct {
		sync.Mutex
		name string // the storage class of objects written without one; "" until known
	}

	own      string             // what the names of temporary objects of this process begin with
	registry *registry.Registry // says so to the next process; nil without a state directory
	removing sync.WaitGroup     // of temporary objects that have served
	leaves   atomic.Bool        // some could not be removed
}

var (
	_ objstore.Store        = (*Store)(nil)
	_ objstore.Cleaner      = (*Store)(nil)
	_ objstore.Renamer      = (*renamer)(nil)
	_ objstore.Upload       = (*upload)(nil)
	_ objstore.PartCopier   = (*upload)(nil)
	_ objstore.LateMetadata = (*upload)(nil)
	_ objstore.Upload       = (*stream)(nil)
)

// New returns the store of one bucket. It asks Google whether the bucket has a
// hierarchical namespace, which makes the store a Renamer. That it cannot ask is
// no error: the first request proper will tell what is wrong.
func New(ctx context.Context, c Config) (objstore.Store, error) {
	s, err := newStore(ctx, c)
	if err != nil {
		return nil, err
	}
	if s.cfg.google() && s.hierarchical(ctx) {
		return s.renaming(), nil
	}
	return s, nil
}

func newStore(ctx context.Context, c Config) (*Store, error) {
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("gcs: %w", err)
	}
	transport, err := c.network().Transport()
	if err != nil {
		return nil, fmt.Errorf("gcs: %w", err)
	}
	client, tokens, err := newClient(c, transport)
	if err != nil {
		return nil, fmt.Errorf("gcs: %w", err)
	}
	s, err := newStoreWith(ctx, c, client, transport)
	if err != nil {
		return nil, err
	}
	s.tokens = tokens
	if err := s.register(); err != nil {
		return nil, fmt.Errorf("gcs: state directory: %w", err)
	}
	return s, nil
}

// newStoreWith is newStore over a client that is ready.
func newStoreWith(ctx context.Context, c Config, client *http.Client, transport *http.Transport) (*Store, error) {
	client.Transport = asStored{client.Transport}
	// The client has its token already: the SDK shall look for none.
	options := []option.ClientOption{option.WithHTTPClient(client), option.WithoutAuthentication()}
	if api := c.api(); api != "" {
		options = append(options, option.WithEndpoint(api))
	}
	service, err := raw.NewService(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("gcs: %w", err)
	}
	if !c.google() {
		// Reads of the other kind need a server that knows its own name.
		options = append(options, storage.WithJSONReads())
	}
	gcs, err := storage.NewClient(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("gcs: %w", err)
	}
	s := &Store{client: gcs, raw: service, transport: transport, cfg: c, own: ownPrefix(c)}
	s.facts.Store(&facts{honoured: c.google(), headers: c.google()})
	return s, nil
}

// bucket is the SDK's handle.
func (s *Store) bucket() *storage.BucketHandle {
	b := s.client.Bucket(s.cfg.Bucket)
	if s.cfg.UserProject != "" {
		b = b.UserProject(s.cfg.UserProject)
	}
	return b
}

// object is the SDK's handle of one object, with retries counted by t.
func (s *Store) object(key string, t *tries) *storage.ObjectHandle {
	return s.bucket().Object(key).Retryer(s.retryer(t)...)
}

// read is the SDK's handle for downloads.
func (s *Store) read(key string) *storage.ObjectHandle {
	return s.object(key, new(tries)).ReadCompressed(s.cfg.google())
}

// Close waits for temporary objects to be removed and drops the connections.
func (s *Store) Close() error {
	s.removing.Wait()
	err := errors.Join(s.unregister(), s.client.Close())
	s.transport.CloseIdleConnections()
	return err
}

var errKey = errors.New("Cloud Storage holds keys of 1 to 1024 bytes of UTF-8 without line breaks only")

// checkKey refuses the keys that the service cannot hold
// (cloud.google.com/storage/docs/objects#naming).
func checkKey(op, key string) error {
	switch {
	case key == "", len(key) > 1024, !utf8.ValidString(key), strings.ContainsAny(key, "\r\n\x00"),
		key == ".", key == "..", strings.HasPrefix(key, ".well-known/acme-challenge/"):
		return &objstore.Error{Op: op, Key: key, Kind: objstore.ErrUnsupported, Err: errKey}
	}
	return nil
}
