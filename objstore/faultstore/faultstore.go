package faultstore

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/pailfs/pailfs/objstore"
)

// Wrap returns a store whose calls go to inner under the rules of the Faults.
// It has the optional interfaces of inner, and so have its uploads.
func Wrap(inner objstore.Store) (objstore.Store, *Faults) {
	f := &Faults{}
	return objstore.LikeStore(&faulty{inner, f}, inner), f
}

type faulty struct {
	store objstore.Store
	f     *Faults
}

func (s *faulty) Caps() objstore.Caps { return s.store.Caps() }
func (s *faulty) Close() error        { return s.store.Close() }

// object makes a call that gives an Object, which a failed call does not show.
func (s *faulty) object(ctx context.Context, c Call, call func() (objstore.Object, error)) (objstore.Object, error) {
	var o objstore.Object
	err := s.f.do(ctx, c, func() (err error) {
		o, err = call()
		return err
	})
	if err != nil {
		return objstore.Object{}, err
	}
	return o, nil
}

func (s *faulty) Stat(ctx context.Context, key string) (objstore.Object, error) {
	return s.object(ctx, Call{Op: Stat, Key: key}, func() (objstore.Object, error) {
		return s.store.Stat(ctx, key)
	})
}

func (s *faulty) Get(ctx context.Context, key string, r objstore.Range, cond objstore.Cond) (io.ReadCloser, objstore.Object, error) {
	c := Call{Op: Get, Key: key, Range: r}
	rule := s.f.meet(c)
	var body io.ReadCloser
	var o objstore.Object
	err := s.f.apply(ctx, rule, c, func() (err error) {
		body, o, err = s.store.Get(ctx, key, r, cond)
		return err
	})
	if err != nil {
		if body != nil {
			body.Close()
		}
		return nil, objstore.Object{}, err
	}
	if rule.Cut != nil {
		body = &cutBody{ReadCloser: body, left: *rule.Cut, end: cutError(c, rule)}
	}
	return body, o, nil
}

func cutError(c Call, r Rule) error {
	switch r.CutErr {
	case nil:
		return objstore.NewError("get", c.Key, objstore.ErrTransient, fmt.Errorf("body broken after %d bytes", *r.Cut))
	case io.EOF:
		return io.EOF
	}
	return classify(c, r.CutErr)
}

// cutBody ends after some bytes, unless the body is shorter.
type cutBody struct {
	io.ReadCloser
	left int64
	end  error
}

func (b *cutBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, b.end
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

func (s *faulty) Put(ctx context.Context, key string, body *io.SectionReader, opt objstore.PutOptions) (objstore.Object, error) {
	return s.object(ctx, Call{Op: Put, Key: key, Size: body.Size()}, func() (objstore.Object, error) {
		return s.store.Put(ctx, key, body, opt)
	})
}

func (s *faulty) Copy(ctx context.Context, dst, src string, opt objstore.CopyOptions) (objstore.Object, error) {
	return s.object(ctx, Call{Op: Copy, Key: dst}, func() (objstore.Object, error) {
		return s.store.Copy(ctx, dst, src, opt)
	})
}

func (s *faulty) Rename(ctx context.Context, dst, src string, opt objstore.CopyOptions) (objstore.Object, error) {
	return s.object(ctx, Call{Op: Rename, Key: dst}, func() (objstore.Object, error) {
		return s.store.(objstore.Renamer).Rename(ctx, dst, src, opt)
	})
}

func (s *faulty) Delete(ctx context.Context, key string, cond objstore.Cond) error {
	return s.f.do(ctx, Call{Op: Delete, Key: key}, func() error { return s.store.Delete(ctx, key, cond) })
}

func (s *faulty) List(ctx context.Context, req objstore.ListRequest) (objstore.ListPage, error) {
	var page objstore.ListPage
	err := s.f.do(ctx, Call{Op: List, Key: req.Prefix}, func() (err error) {
		page, err = s.store.List(ctx, req)
		return err
	})
	if err != nil {
		return objstore.ListPage{}, err
	}
	return page, nil
}

func (s *faulty) AbortStale(ctx context.Context, prefix string, olderThan time.Time) (int, error) {
	n := 0
	err := s.f.do(ctx, Call{Op: Clean, Key: prefix}, func() (err error) {
		n, err = s.store.(objstore.Cleaner).AbortStale(ctx, prefix, olderThan)
		return err
	})
	return n, err
}

// NewUpload begins no upload in inner when the answer is an error: nobody could
// abort it. So Rule.Done aborts it again.
func (s *faulty) NewUpload(ctx context.Context, key string, opt objstore.PutOptions) (objstore.Upload, error) {
	var u objstore.Upload
	err := s.f.do(ctx, Call{Op: Upload, Key: key}, func() (err error) {
		u, err = s.store.NewUpload(ctx, key, opt)
		return err
	})
	if err != nil {
		if u != nil {
			_ = u.Abort(context.WithoutCancel(ctx))
		}
		return nil, err
	}
	return objstore.LikeUpload(&faultyUpload{u, s, key}, u), nil
}

type faultyUpload struct {
	upload objstore.Upload
	s      *faulty
	key    string
}

func (u *faultyUpload) PutPart(ctx context.Context, n int, body *io.SectionReader) error {
	return u.s.f.do(ctx, Call{Op: Part, Key: u.key, Part: n, Size: body.Size()}, func() error {
		return u.upload.PutPart(ctx, n, body)
	})
}

func (u *faultyUpload) CopyPart(ctx context.Context, n int, src string, v objstore.Version, r objstore.Range) error {
	return u.s.f.do(ctx, Call{Op: CopyPart, Key: u.key, Part: n, Range: r}, func() error {
		return u.upload.(objstore.PartCopier).CopyPart(ctx, n, src, v, r)
	})
}

func (u *faultyUpload) SetMetadata(m map[string]string) {
	u.upload.(objstore.LateMetadata).SetMetadata(m)
}

func (u *faultyUpload) SetSHA256(sum []byte) { u.upload.(objstore.LateSHA256).SetSHA256(sum) }

func (u *faultyUpload) Commit(ctx context.Context, last int) (objstore.Object, error) {
	return u.s.object(ctx, Call{Op: Commit, Key: u.key, Part: last}, func() (objstore.Object, error) {
		return u.upload.Commit(ctx, last)
	})
}

func (u *faultyUpload) Abort(ctx context.Context) error {
	return u.s.f.do(ctx, Call{Op: Abort, Key: u.key}, func() error { return u.upload.Abort(ctx) })
}
