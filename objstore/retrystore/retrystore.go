// Package retrystore rides out the time in which a store cannot be reached, asks
// to slow down or refuses the credentials: calls that failed for such a reason
// are made again, until they succeed or a time is over.
//
// It is above what the SDKs do for a single request. Whether a conditional call
// whose answer was lost has happened after all is settled by looking at the
// object.
package retrystore

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/pailfs/pailfs/objstore"
)

// Options of Wrap.
type Options struct {
	For time.Duration // no try begins later than this after the first; 0 is one try

	// Renew takes the credentials from where they came, after the store has
	// refused them; nil takes none. It is called once at a time, and not more
	// often than every two seconds.
	Renew func(context.Context) error

	Log *slog.Logger // nil discards
}

// Pauses between two tries: the first, doubled up to the last, each with jitter.
const (
	firstPause = 200 * time.Millisecond
	lastPause  = 10 * time.Second
)

// Wrap returns a store whose calls are made again after objstore.ErrTransient
// and objstore.ErrThrottled, after objstore.ErrChecksum (bytes that were
// changed on their way arrive the next time), and after objstore.ErrCredentials:
// whoever replaces a key or a token may be late. It has the optional interfaces of inner, and so have
// its uploads.
func Wrap(inner objstore.Store, opt Options) objstore.Store {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	return objstore.LikeStore(&retried{inner, opt, newRenewal()}, inner)
}

type retried struct {
	store objstore.Store
	opt   Options
	renewal
}

// passes reports whether an error is of a kind that passes.
func passes(err error) bool {
	return errors.Is(err, objstore.ErrTransient) || errors.Is(err, objstore.ErrThrottled) || errors.Is(err, objstore.ErrChecksum) ||
		errors.Is(err, objstore.ErrCredentials)
}

// do makes a call until it is done with it.
func (s *retried) do(ctx context.Context, op, key string, call func() error) error {
	begun, pause := time.Now(), firstPause
	for try := 1; ; try++ {
		err := call()
		if err == nil || !passes(err) || ctx.Err() != nil {
			return err
		}
		wait := pause/2 + rand.N(pause/2)
		if time.Since(begun)+wait > s.opt.For {
			return err
		}
		if try == 1 {
			s.opt.Log.Warn("the store does not do what it is asked, trying again", "op", op, "key", key, "for", s.opt.For, "err", err)
		}
		if errors.Is(err, objstore.ErrCredentials) {
			s.renew(ctx, s.opt)
			pause = min(pause, renewPause)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return err
		}
		pause = min(2*pause, lastPause)
	}
}

func (s *retried) Caps() objstore.Caps { return s.store.Caps() }
func (s *retried) Close() error        { return s.store.Close() }

func (s *retried) Stat(ctx context.Context, key string) (o objstore.Object, err error) {
	err = s.do(ctx, "stat", key, func() error {
		o, err = s.store.Stat(ctx, key)
		return err
	})
	return o, err
}

// Get tries until a body begins. Whoever reads it continues one that breaks off.
func (s *retried) Get(ctx context.Context, key string, r objstore.Range, cond objstore.Cond) (body io.ReadCloser, o objstore.Object, err error) {
	err = s.do(ctx, "get", key, func() error {
		body, o, err = s.store.Get(ctx, key, r, cond)
		return err
	})
	return body, o, err
}

func (s *retried) Put(ctx context.Context, key string, body *io.SectionReader, opt objstore.PutOptions) (o objstore.Object, err error) {
	err = s.do(ctx, "put", key, func() error {
		o, err = s.store.Put(ctx, key, body, opt)
		return err
	})
	if errors.Is(err, objstore.ErrCond) {
		o, err = s.settle(ctx, key, body.Size(), opt.Metadata, err)
	}
	return o, err
}

// settle looks whether the object in the way is the one that we were about to
// write: an earlier try has written it, and its answer was lost.
func (s *retried) settle(ctx context.Context, key string, size int64, metadata map[string]string, refused error) (objstore.Object, error) {
	if len(metadata) == 0 {
		return objstore.Object{}, refused
	}
	o, err := s.Stat(ctx, key)
	if err != nil || o.Size != size || len(o.Metadata) < len(metadata) {
		return objstore.Object{}, refused
	}
	for k, v := range metadata {
		if o.Metadata[k] != v {
			return objstore.Object{}, refused
		}
	}
	return o, nil
}

func (s *retried) Copy(ctx context.Context, dst, src string, opt objstore.CopyOptions) (o objstore.Object, err error) {
	err = s.do(ctx, "copy", dst, func() error {
		o, err = s.store.Copy(ctx, dst, src, opt)
		return err
	})
	if errors.Is(err, objstore.ErrCond) && dst != src {
		o, err = s.settleCopy(ctx, dst, src, opt, err)
	}
	return o, err
}

func (s *retried) settleCopy(ctx context.Context, dst, src string, opt objstore.CopyOptions, refused error) (objstore.Object, error) {
	from, err := s.Stat(ctx, src)
	if err != nil || opt.Src != "" && opt.Src != from.Version {
		return objstore.Object{}, refused
	}
	metadata := opt.Metadata
	if metadata == nil {
		metadata = from.Metadata
	}
	return s.settle(ctx, dst, from.Size, metadata, refused)
}

func (s *retried) Rename(ctx context.Context, dst, src string, opt objstore.CopyOptions) (o objstore.Object, err error) {
	err = s.do(ctx, "rename", dst, func() error {
		o, err = s.store.(objstore.Renamer).Rename(ctx, dst, src, opt)
		return err
	})
	return o, err
}

// Delete of a version that has gone meanwhile is what was asked for.
func (s *retried) Delete(ctx context.Context, key string, cond objstore.Cond) error {
	tries := 0
	err := s.do(ctx, "delete", key, func() error {
		tries++
		return s.store.Delete(ctx, key, cond)
	})
	if tries > 1 && errors.Is(err, objstore.ErrCond) {
		if _, look := s.Stat(ctx, key); errors.Is(look, objstore.ErrNotFound) {
			return nil
		}
	}
	return err
}

func (s *retried) List(ctx context.Context, req objstore.ListRequest) (page objstore.ListPage, err error) {
	err = s.do(ctx, "list", req.Prefix, func() error {
		page, err = s.store.List(ctx, req)
		return err
	})
	return page, err
}

func (s *retried) AbortStale(ctx context.Context, prefix string, olderThan time.Time) (n int, err error) {
	err = s.do(ctx, "clean", prefix, func() error {
		some, err := s.store.(objstore.Cleaner).AbortStale(ctx, prefix, olderThan)
		n += some
		return err
	})
	return n, err
}

func (s *retried) NewUpload(ctx context.Context, key string, opt objstore.PutOptions) (u objstore.Upload, err error) {
	err = s.do(ctx, "upload", key, func() error {
		u, err = s.store.NewUpload(ctx, key, opt)
		return err
	})
	if err != nil {
		return nil, err
	}
	return objstore.LikeUpload(&upload{u, s, key}, u), nil
}
