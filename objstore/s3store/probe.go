package s3store

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"net/http"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pailfs/pailfs/objstore"
)

// Probe finds out, with a few small objects below prefix that it deletes again,
// what the endpoint honours: conditions, checksums, odd keys. At Amazon that is
// known, and Probe asks nothing. Call it before the first write; without it
// conditions are checked by looking first, and Caps promises none.
func (s *Store) Probe(ctx context.Context, prefix string) error {
	if s.cfg.amazon() {
		return nil
	}
	s.probed.Store(&prefix)
	p := probe{s: s, prefix: prefix + ".pailfs/probe-" + rand.Text()}
	p.key, p.odd = p.prefix+"a", p.prefix+"b/./c"
	defer p.clean(ctx)
	if err := p.ask(ctx); err != nil {
		return err
	}
	if p.absent == refused || p.match == refused {
		p.condPut = refused
	} else {
		p.condPut = min(p.absent, p.match)
	}
	f := p.facts
	s.facts.Store(&f)
	if c := s.Caps(); !c.CondPut {
		s.cfg.Log.Warn("the store does not make sure that nobody else has changed an object meanwhile: pailfs looks just before it writes",
			"bucket", s.cfg.Bucket, "put", f.condPut, "commit", f.condCommit)
	}
	s.cfg.Log.Debug("probed the store", "bucket", s.cfg.Bucket, "put", f.condPut, "commit", f.condCommit, "copy", f.condCopy, "delete", f.condDelete,
		"paths", f.paths, "part-copies", !f.noPartCopies, "checksum", *s.algorithm.Load(), "listed", s.listsAlgorithm.Load())
	return nil
}

// A probe is what Probe asks and learns.
type probe struct {
	s                *Store
	prefix, key, odd string // of the objects; odd is a key that a file system would clean

	facts
	absent, match answer // of Put
}

// noVersion is one that no object has.
const noVersion objstore.Version = "00000000000000000000000000000000"

var probeContent = []byte("pailfs was here for a moment\n")

func (p *probe) ask(ctx context.Context) error {
	s := p.s
	body := io.NewSectionReader(bytes.NewReader(probeContent), 0, int64(len(probeContent)))
	// The first Put also settles the checksum, for the store and all that follows.
	if _, err := s.Put(ctx, p.key, body, objstore.PutOptions{}); err != nil {
		return err
	}
	algorithm := *s.algorithm.Load()

	// Each of these must fail at an endpoint that honours its condition.
	absent := condHeaders(objstore.Cond{Absent: true})
	other := condHeaders(objstore.Cond{Version: noVersion})
	var g errgroup.Group
	g.Go(func() error {
		_, err := s.put(ctx, p.key, body, objstore.PutOptions{}, absent, algorithm)
		return s.judge(&p.absent, "put", p.key, err)
	})
	g.Go(func() error {
		_, err := s.put(ctx, p.key, body, objstore.PutOptions{}, other, algorithm)
		return s.judge(&p.match, "put", p.key, err)
	})
	g.Go(func() error {
		from, err := s.headOutput(ctx, "copy", p.key, "")
		if err != nil {
			return err
		}
		_, err = s.copy(ctx, p.key, p.key, from, map[string]string{}, absent)
		return s.judge(&p.condCopy, "copy", p.key, err)
	})
	g.Go(func() error {
		p.deletesNothing = s.delete(ctx, p.prefix+"n", other) == nil
		return nil
	})
	g.Go(func() error {
		_, err := s.put(ctx, p.odd, body, objstore.PutOptions{}, headers{}, algorithm)
		p.paths = err != nil // refused, or not shown below
		return nil
	})
	if err := g.Wait(); err != nil {
		return err
	}
	// After the others: it may replace the object.
	if err := p.upload(ctx, algorithm); err != nil {
		return err
	}
	// The listing shows the odd key as the store took it, and whether listings
	// name the checksum algorithm.
	page, err := s.List(ctx, objstore.ListRequest{Prefix: p.prefix})
	if err != nil {
		return err
	}
	p.paths = p.paths || !slices.ContainsFunc(page.Objects, func(o objstore.Object) bool { return o.Key == p.odd })
	return s.judge(&p.condDelete, "delete", p.key, s.delete(ctx, p.key, other))
}

// upload finds out what an upload at the key of the probe's object may do.
func (p *probe) upload(ctx context.Context, algorithm Checksum) error {
	u, err := p.s.newUpload(ctx, p.key, objstore.PutOptions{}, algorithm)
	if err != nil {
		return p.s.classify("upload", p.key, err)
	}
	defer func() {
		if err := u.abortAfter(ctx); err != nil {
			p.s.cfg.Log.Warn("an upload of the probe stays behind", "key", u.key, "upload", u.id, "err", err)
		}
	}()
	p.copyPart(ctx, u)
	if err := u.PutPart(ctx, 1, io.NewSectionReader(bytes.NewReader(probeContent), 0, int64(len(probeContent)))); err != nil {
		return err
	}
	parts, _, err := u.list(1)
	if err != nil {
		return err
	}
	out, err := u.complete(ctx, parts, condHeaders(objstore.Cond{Absent: true}))
	if err == nil { // the condition was ignored, and the object replaced by the same bytes
		u.over = true
		u.ended()
		now, err := p.s.head(ctx, "commit", p.key, "")
		if err != nil {
			return err
		}
		p.otherETag = now.Version != version(out.ETag)
	}
	return p.s.judge(&p.condCommit, "commit", p.key, err)
}

// copyPart finds out whether the store copies a range into an upload, and
// answers with the checksum of that. One that refuses so small a range, as
// Amazon does, says nothing.
func (p *probe) copyPart(ctx context.Context, u *upload) {
	err := u.CopyPart(ctx, 1, p.key, "", objstore.Range{Len: 6})
	switch f := newFailure(err); {
	case err == nil && u.declared:
		want := crc32.Checksum(probeContent[:6], castagnoli)
		p.badPartCopies = binary.BigEndian.Uint32(rawSum(u.parts[1].crc32c)) != want
	case err == nil:
	case u.declared && (f.status == 0 && errors.Is(err, objstore.ErrUnsupported) || refusesChecksum(err)):
		p.badPartCopies = true
	case f.status == http.StatusLengthRequired, errors.Is(err, objstore.ErrUnsupported): // a part without a body
		p.noPartCopies = true
	}
	if err == nil {
		p.blindCopies = u.CopyPart(ctx, 1, p.key, noVersion, objstore.Range{Len: 6}) == nil
	}
}

// clean deletes what the probe wrote, also if it was cancelled.
func (p *probe) clean(ctx context.Context) {
	limit := 30 * time.Second
	if ctx.Err() != nil { // who mounts has waited long enough
		limit = time.Second
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	var g errgroup.Group
	for _, key := range []string{p.key, p.odd} {
		g.Go(func() error {
			if err := p.s.delete(ctx, key, headers{}); err != nil {
				p.s.cfg.Log.Warn("a probe object may stay behind", "key", key, "err", p.s.classify("delete", key, err))
			}
			return nil
		})
	}
	_ = g.Wait() // each delete has logged its own error
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
