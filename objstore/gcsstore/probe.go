package gcsstore

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"time"

	"cloud.google.com/go/storage"

	"github.com/pailfs/pailfs/objstore"
)

var probeContent = []byte("pailfs was here for a moment\n")

// Probe finds out, with a small object below prefix that it deletes again, what
// the endpoint honours of the conditions that it is sent. At Google that is
// known, and Probe asks nothing. Call it before the first write; without it
// conditions are checked by looking first, and Caps promises none.
func (s *Store) Probe(ctx context.Context, prefix string) error {
	if s.cfg.google() {
		return nil
	}
	key := prefix + ".pailfs/probe-" + rand.Text()
	body := io.NewSectionReader(bytes.NewReader(probeContent), 0, int64(len(probeContent)))
	o, err := s.Put(ctx, key, body, objstore.PutOptions{Metadata: map[string]string{"probe": "1"}})
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		if _, err := s.remove(ctx, []string{key}); err != nil {
			s.cfg.Log.Warn("a probe object may stay behind", "key", key, "err", s.classify("delete", key, err))
		}
	}()
	f, err := s.ask(ctx, key, generation(o.Version))
	if err != nil {
		return s.classify("probe", key, err)
	}
	s.facts.Store(&f)
	s.cfg.Log.Debug("probed the store", "bucket", s.cfg.Bucket, "conditions", f.honoured, "headers", f.headers)
	return nil
}

// ask makes requests that an endpoint which honours their conditions refuses;
// elsewhere the same bytes are written again, and at last deleted.
func (s *Store) ask(ctx context.Context, key string, there int64) (facts, error) {
	var f facts
	rd, err := s.read(key).NewReader(ctx)
	if err != nil {
		return f, err
	}
	rd.Close()
	f.headers = decodeMetadata(rd.Metadata())["probe"] == "1"

	object := s.bucket().Object(key).Retryer(s.retryer(new(tries))...)
	other := object.If(storage.Conditions{GenerationMatch: there + 1})
	f.honoured = true
	for _, request := range []func() error{
		func() error { _, err := other.ComposerFrom(object).Run(ctx); return err },
		func() error {
			_, err := object.If(storage.Conditions{DoesNotExist: true}).CopierFrom(object).Run(ctx)
			return err
		},
		func() error { return other.Delete(ctx) },
	} {
		switch err := request(); {
		case err == nil:
			f.honoured = false
		case !unmet(err):
			return f, err
		}
		if !f.honoured {
			break
		}
	}
	return f, nil
}
