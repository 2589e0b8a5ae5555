// Package open turns a URL into a store. It alone imports all drivers.
package open

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/dirstore"
	"github.com/pailfs/pailfs/objstore/internal/wire"
	"github.com/pailfs/pailfs/objstore/s3store"
)

// Options are what a URL does not say. The zero value is useful.
type Options struct {
	// ReadOnly promises that nothing will be written: then the store is not
	// probed, which takes the right to write.
	ReadOnly bool

	// Create makes the bucket, container or directory if it is missing.
	Create bool

	ConnectTimeout time.Duration // 0 is the driver's default
	RequestTimeout time.Duration // longest silence within one request; 0 is the driver's default
	Retry          objstore.Retry

	// StateDir is a directory of the local disk that remembers what was begun in
	// a store, so that objstore.Cleaner finds what a killed process left behind.
	// "" remembers nothing, where the provider cannot tell.
	StateDir string

	// Limits bound what stores on the network take together; nil bounds nothing.
	Limits *Limits

	// OnReread, if it is set, is called with functions that make the store read
	// its credentials again, from where it took them. A store without any has none.
	OnReread func(read func(context.Context) error)

	Log *slog.Logger // nil discards
}

// Limits of bandwidth and requests.
type Limits = wire.Limits

// A rereader takes its credentials from where they may change.
type rereader interface {
	RereadCredentials(ctx context.Context) error
}

func (opt Options) offer(s objstore.Store) {
	if r, ok := s.(rereader); ok && opt.OnReread != nil {
		opt.OnReread(r.RereadCredentials)
	}
}

// Open returns the store that rawURL names:
//
//	file:///dir                a directory
//	s3://bucket[/prefix]       Amazon S3, or ?endpoint=
//	minio://bucket[/prefix]    MinIO on this machine, or ?endpoint=
//	r2://bucket[/prefix]       Cloudflare R2, of ?account=
//	b2://bucket[/prefix]       Backblaze B2, of ?region=
//	wasabi://bucket[/prefix]   Wasabi, of ?region=
//	spaces://bucket[/prefix]   DigitalOcean Spaces, of ?region=
//	gs://bucket[/prefix]       Google Cloud Storage; also gcs://
//	azure://container[/prefix] Azure Blob Storage; also azblob:// and az://
//
// S3 and its like take ?endpoint=, region=, profile=, path-style=true|false,
// ca-file=, access-key-id=, secret-access-key=, session-token= and
// anonymous=true; Cloud Storage takes ?endpoint=, credentials= (a file),
// anonymous=true, impersonate= (a service account), user-project=,
// one-stream=true and ca-file=; Azure takes ?account=, endpoint=, account-key= (or
// key=), sas=, connection-string=, credentials= (a file), anonymous=true and
// ca-file=. Keys of the store
// are relative to the prefix. No error of Open holds a secret that the URL may
// contain.
func Open(ctx context.Context, rawURL string, opt Options) (objstore.Store, error) {
	src, err := parse(rawURL)
	if err != nil {
		return nil, err
	}
	return openSource(ctx, src, opt)
}

func openSource(ctx context.Context, src source, opt Options) (objstore.Store, error) {
	switch src.scheme {
	case "file":
		if opt.Create {
			if err := dirstore.Make(src.dir); err != nil {
				return nil, err
			}
		}
		s, err := dirstore.Open(src.dir)
		if err != nil {
			return nil, err
		}
		return s, nil
	case "s3", "minio", "r2", "b2", "wasabi", "spaces":
		return openS3(ctx, src, opt)
	case "gs", "gcs":
		return openGCS(ctx, src, opt)
	case "azure", "azblob", "az":
		return openAzure(ctx, src, opt)
	}
	return nil, fmt.Errorf("%s:// is not supported: use %s", src.scheme, schemes)
}

func openS3(ctx context.Context, src source, opt Options) (objstore.Store, error) {
	c := src.s3
	c.ConnectTimeout, c.RequestTimeout, c.Retry, c.Limits, c.Log = opt.ConnectTimeout, opt.RequestTimeout, opt.Retry, opt.Limits, opt.Log
	if opt.StateDir != "" && !opt.ReadOnly {
		c.StateDir = filepath.Join(opt.StateDir, "s3-uploads")
	}
	s, err := s3store.New(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := ensure(ctx, s, opt); err != nil {
		s.Close()
		return nil, err
	}
	if !opt.ReadOnly {
		if err := probe(ctx, s, src.prefix); err != nil {
			s.Close()
			return nil, err
		}
	}
	opt.offer(s)
	return objstore.WithPrefix(s, src.prefix), nil
}

// A prober finds out what its endpoint honours, which takes a small write.
type prober interface {
	Probe(ctx context.Context, prefix string) error
}

func probe(ctx context.Context, s objstore.Store, prefix string) error {
	p, ok := s.(prober)
	if !ok {
		return nil
	}
	err := p.Probe(ctx, prefix)
	if errors.Is(err, objstore.ErrPermission) {
		// Is it writing alone that is refused?
		if err := Check(ctx, objstore.WithPrefix(s, prefix)); err != nil {
			return err
		}
	}
	return explain(err, "write to")
}
