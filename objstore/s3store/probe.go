package s3store

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pailfs/pailfs/objstore"
)

// Probe finds out, with one small object below prefix that it deletes again,
// which conditions and checksums the endpoint honours. At Amazon that is known,
// and Probe asks nothing. Call it before the first write; without it conditions
// are checked by looking first, and Caps promises none.
func (s *Store) Probe(ctx context.Context, prefix string) error {
	if s.cfg.amazon() {
		return nil
	}
	key := prefix + ".pailfs/probe-" + rand.Text()
	content := []byte("pailfs was here for a moment\n")
	body := io.NewSectionReader(bytes.NewReader(content), 0, int64(len(content)))

	// The Put also settles the checksum, for the store and for all that follows.
	o, err := s.Put(ctx, key, body, objstore.PutOptions{})
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		if err := s.Delete(ctx, key, objstore.Cond{}); err != nil {
			s.cfg.Log.Warn("a probe object stays behind", "key", key, "err", err)
		}
	}()

	// Each of these must fail at an endpoint that honours its condition.
	var absent, match, copied, deleted answer
	wrong := objstore.Version("00000000000000000000000000000000")
	var g errgroup.Group
	g.Go(func() error {
		_, err := s.put(ctx, key, body, objstore.PutOptions{}, condHeaders(objstore.Cond{Absent: true}), *s.algorithm.Load())
		return s.judge(&absent, "put", key, err)
	})
	g.Go(func() error {
		_, err := s.put(ctx, key, body, objstore.PutOptions{}, condHeaders(objstore.Cond{Version: wrong}), *s.algorithm.Load())
		return s.judge(&match, "put", key, err)
	})
	g.Go(func() error {
		from, err := s.headOutput(ctx, "copy", key, "")
		if err != nil {
			return err
		}
		_, err = s.copy(ctx, key, key, from, map[string]string{}, condHeaders(objstore.Cond{Absent: true}))
		return s.judge(&copied, "copy", key, err)
	})
	g.Go(func() error {
		_, err := s.List(ctx, objstore.ListRequest{Prefix: key}) // shows whether listings name the algorithm
		return err
	})
	if err := g.Wait(); err != nil {
		return err
	}
	err = s.judge(&deleted, "delete", key, s.delete(ctx, key, condHeaders(objstore.Cond{Version: wrong})))
	if err != nil {
		return err
	}
	f := &facts{condPut: min(absent, match), condCopy: copied, condDelete: deleted}
	if absent == refused || match == refused {
		f.condPut = refused
	}
	s.facts.Store(f)
	s.cfg.Log.Debug("probed the store", "bucket", s.cfg.Bucket, "version", o.Version,
		"put", f.condPut.String(), "copy", f.condCopy.String(), "delete", f.condDelete.String(),
		"checksum", string(*s.algorithm.Load()), "listed", s.listsAlgorithm.Load())
	return nil
}

// judge reads the answer to a request whose condition does not hold. A success
// means that the condition was ignored; what it wrote was the same bytes.
func (s *Store) judge(a *answer, op, key string, err error) error {
	err = s.classify(op, key, err)
	switch {
	case err == nil:
		*a = unknown
	case errors.Is(err, objstore.ErrCond):
		*a = honoured
	case errors.Is(err, objstore.ErrUnsupported), errors.Is(err, objstore.ErrOther):
		*a = refused
	default:
		return err
	}
	return nil
}
