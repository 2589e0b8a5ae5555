// Package countstore counts what passes through a Store: calls, errors, bytes,
// time, and what is on its way at the moment. A call is one method of the Store;
// the driver may make several requests of it.
package countstore

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/pailfs/pailfs/objstore"
)

// Wrap returns a store whose calls are counted. It has the optional interfaces
// of inner, and so have its uploads.
func Wrap(inner objstore.Store) (objstore.Store, *Counter) {
	c := newCounter()
	return objstore.LikeStore(&counted{inner, c}, inner), c
}

type counted struct {
	store objstore.Store
	c     *Counter
}

func (s *counted) Caps() objstore.Caps { return s.store.Caps() }
func (s *counted) Close() error        { return s.store.Close() }

func (s *counted) Stat(ctx context.Context, key string) (objstore.Object, error) {
	done := s.c.begin(Stat)
	o, err := s.store.Stat(ctx, key)
	done(err)
	return o, err
}

func (s *counted) Get(ctx context.Context, key string, r objstore.Range, cond objstore.Cond) (io.ReadCloser, objstore.Object, error) {
	done := s.c.begin(Get)
	body, o, err := s.store.Get(ctx, key, r, cond)
	if err != nil {
		done(err)
		return body, o, err
	}
	want := o.Size - r.Off
	if r.Len >= 0 {
		want = min(want, r.Len)
	}
	return &countedBody{body: body, c: s.c, key: key, done: done, t: s.c.startTransfer(Down, key, want)}, o, nil
}

// countedBody is a Get until it is closed.
type countedBody struct {
	body io.ReadCloser
	c    *Counter
	key  string
	t    *transfer
	done func(error)
	err  error
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	b.c.received(b.t, int64(n))
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
	}
	return n, err
}

func (b *countedBody) Close() error {
	err := b.body.Close()
	if b.done != nil {
		b.c.endTransfer(b.t)
		b.done(b.err)
		b.done = nil
	}
	return err
}

func (s *counted) Put(ctx context.Context, key string, body *io.SectionReader, opt objstore.PutOptions) (objstore.Object, error) {
	done := s.c.begin(Put)
	t := s.c.startTransfer(Up, key, body.Size())
	o, err := s.store.Put(ctx, key, body, opt)
	if err == nil {
		s.c.sent(Put, t, body.Size())
		s.c.committed(key)
	}
	s.c.endTransfer(t)
	done(err)
	return o, err
}

func (s *counted) Copy(ctx context.Context, dst, src string, opt objstore.CopyOptions) (objstore.Object, error) {
	done := s.c.begin(Copy)
	o, err := s.store.Copy(ctx, dst, src, opt)
	done(err)
	return o, err
}

func (s *counted) Rename(ctx context.Context, dst, src string, opt objstore.CopyOptions) (objstore.Object, error) {
	done := s.c.begin(Rename)
	o, err := s.store.(objstore.Renamer).Rename(ctx, dst, src, opt)
	done(err)
	return o, err
}

func (s *counted) Delete(ctx context.Context, key string, cond objstore.Cond) error {
	done := s.c.begin(Delete)
	err := s.store.Delete(ctx, key, cond)
	done(err)
	return err
}

func (s *counted) List(ctx context.Context, req objstore.ListRequest) (objstore.ListPage, error) {
	done := s.c.begin(List)
	page, err := s.store.List(ctx, req)
	done(err)
	return page, err
}

func (s *counted) AbortStale(ctx context.Context, prefix string, olderThan time.Time) (int, error) {
	done := s.c.begin(Clean)
	n, err := s.store.(objstore.Cleaner).AbortStale(ctx, prefix, olderThan)
	done(err)
	return n, err
}

func (s *counted) NewUpload(ctx context.Context, key string, opt objstore.PutOptions) (objstore.Upload, error) {
	done := s.c.begin(NewUpload)
	u, err := s.store.NewUpload(ctx, key, opt)
	done(err)
	if err != nil {
		return u, err
	}
	t := s.c.startTransfer(Up, key, 0)
	end := sync.OnceFunc(func() { s.c.endTransfer(t) })
	return objstore.LikeUpload(&countedUpload{u, s.c, key, t, end}, u), nil
}

// countedUpload is one transfer, from its beginning to Commit or Abort.
type countedUpload struct {
	upload objstore.Upload
	c      *Counter
	key    string
	t      *transfer
	end    func() // of t, once
}

func (u *countedUpload) PutPart(ctx context.Context, n int, body *io.SectionReader) error {
	done := u.c.begin(PutPart)
	err := u.upload.PutPart(ctx, n, body)
	if err == nil {
		u.c.sent(PutPart, u.t, body.Size())
	}
	done(err)
	return err
}

func (u *countedUpload) CopyPart(ctx context.Context, n int, src string, v objstore.Version, r objstore.Range) error {
	done := u.c.begin(CopyPart)
	err := u.upload.(objstore.PartCopier).CopyPart(ctx, n, src, v, r)
	done(err)
	return err
}

func (u *countedUpload) SetMetadata(m map[string]string) {
	u.upload.(objstore.LateMetadata).SetMetadata(m)
}

func (u *countedUpload) SetSHA256(sum []byte) { u.upload.(objstore.LateSHA256).SetSHA256(sum) }

func (u *countedUpload) Commit(ctx context.Context, last int) (objstore.Object, error) {
	done := u.c.begin(Commit)
	o, err := u.upload.Commit(ctx, last)
	if err == nil {
		u.c.committed(u.key)
		u.end()
	}
	done(err)
	return o, err
}

func (u *countedUpload) Abort(ctx context.Context) error {
	done := u.c.begin(Abort)
	err := u.upload.Abort(ctx)
	u.end()
	done(err)
	return err
}
