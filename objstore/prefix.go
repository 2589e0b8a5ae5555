package objstore

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"
)

// WithPrefix returns the part of s below prefix as a Store of its own: keys, in
// arguments, results and errors, are relative to prefix. A "/" is added to a
// prefix that does not end in one; the empty prefix is s itself. The optional
// interfaces of s and of its uploads are kept. Close closes s.
func WithPrefix(s Store, prefix string) Store {
	if prefix == "" {
		return s
	}
	if !strings.HasSuffix(prefix, "/") {
		prefix += "/"
	}
	return LikeStore(&prefixed{s, prefix}, s)
}

type prefixed struct {
	store  Store
	prefix string
}

// refuse is the answer to the empty key, which would otherwise name the marker
// of the prefix.
func (p *prefixed) refuse(op, key string) error {
	if key == "" {
		return &Error{Op: op, Kind: ErrUnsupported, Err: errors.New("empty key")}
	}
	return nil
}

func (p *prefixed) trim(o Object) Object {
	o.Key = strings.TrimPrefix(o.Key, p.prefix)
	return o
}

// relative takes the prefix off the key of an *Error.
func (p *prefixed) relative(err error) error {
	e := (*Error)(nil)
	if !errors.As(err, &e) || !strings.HasPrefix(e.Key, p.prefix) {
		return err
	}
	rel := *e
	rel.Key = strings.TrimPrefix(e.Key, p.prefix)
	return &rel
}

func (p *prefixed) Stat(ctx context.Context, key string) (Object, error) {
	if err := p.refuse("stat", key); err != nil {
		return Object{}, err
	}
	o, err := p.store.Stat(ctx, p.prefix+key)
	return p.trim(o), p.relative(err)
}

func (p *prefixed) Get(ctx context.Context, key string, r Range, cond Cond) (io.ReadCloser, Object, error) {
	if err := p.refuse("get", key); err != nil {
		return nil, Object{}, err
	}
	body, o, err := p.store.Get(ctx, p.prefix+key, r, cond)
	if err != nil {
		return nil, Object{}, p.relative(err)
	}
	return &prefixedBody{body, p}, p.trim(o), nil
}

// prefixedBody makes the errors of a broken body relative too.
type prefixedBody struct {
	io.ReadCloser
	p *prefixed
}

func (b *prefixedBody) Read(buf []byte) (int, error) {
	n, err := b.ReadCloser.Read(buf)
	if err == nil || err == io.EOF {
		return n, err
	}
	return n, b.p.relative(err)
}

func (p *prefixed) Put(ctx context.Context, key string, body *io.SectionReader, opt PutOptions) (Object, error) {
	if err := p.refuse("put", key); err != nil {
		return Object{}, err
	}
	o, err := p.store.Put(ctx, p.prefix+key, body, opt)
	return p.trim(o), p.relative(err)
}

func (p *prefixed) NewUpload(ctx context.Context, key string, opt PutOptions) (Upload, error) {
	if err := p.refuse("upload", key); err != nil {
		return nil, err
	}
	u, err := p.store.NewUpload(ctx, p.prefix+key, opt)
	if err != nil {
		return nil, p.relative(err)
	}
	return LikeUpload(&prefixedUpload{u, p}, u), nil
}

func (p *prefixed) Copy(ctx context.Context, dst, src string, opt CopyOptions) (Object, error) {
	if err := errors.Join(p.refuse("copy", dst), p.refuse("copy", src)); err != nil {
		return Object{}, err
	}
	o, err := p.store.Copy(ctx, p.prefix+dst, p.prefix+src, opt)
	return p.trim(o), p.relative(err)
}

func (p *prefixed) Delete(ctx context.Context, key string, cond Cond) error {
	if err := p.refuse("delete", key); err != nil {
		return err
	}
	return p.relative(p.store.Delete(ctx, p.prefix+key, cond))
}

// List leaves out the marker of the prefix itself, whose relative key is empty.
func (p *prefixed) List(ctx context.Context, req ListRequest) (ListPage, error) {
	req.Prefix = p.prefix + req.Prefix
	page, err := p.store.List(ctx, req)
	if err != nil {
		return ListPage{}, p.relative(err)
	}
	out := ListPage{Next: page.Next}
	for _, o := range page.Objects {
		if o.Key != p.prefix {
			out.Objects = append(out.Objects, p.trim(o))
		}
	}
	for _, dir := range page.Prefixes {
		out.Prefixes = append(out.Prefixes, strings.TrimPrefix(dir, p.prefix))
	}
	return out, nil
}

func (p *prefixed) Caps() Caps   { return p.store.Caps() }
func (p *prefixed) Close() error { return p.store.Close() }

func (p *prefixed) Rename(ctx context.Context, dst, src string, opt CopyOptions) (Object, error) {
	if err := errors.Join(p.refuse("rename", dst), p.refuse("rename", src)); err != nil {
		return Object{}, err
	}
	o, err := p.store.(Renamer).Rename(ctx, p.prefix+dst, p.prefix+src, opt)
	return p.trim(o), p.relative(err)
}

func (p *prefixed) AbortStale(ctx context.Context, prefix string, olderThan time.Time) (int, error) {
	n, err := p.store.(Cleaner).AbortStale(ctx, p.prefix+prefix, olderThan)
	return n, p.relative(err)
}

type prefixedUpload struct {
	upload Upload
	p      *prefixed
}

func (u *prefixedUpload) PutPart(ctx context.Context, n int, body *io.SectionReader) error {
	return u.p.relative(u.upload.PutPart(ctx, n, body))
}

func (u *prefixedUpload) Commit(ctx context.Context, last int) (Object, error) {
	o, err := u.upload.Commit(ctx, last)
	return u.p.trim(o), u.p.relative(err)
}

func (u *prefixedUpload) Abort(ctx context.Context) error {
	return u.p.relative(u.upload.Abort(ctx))
}

func (u *prefixedUpload) CopyPart(ctx context.Context, n int, src string, v Version, r Range) error {
	if err := u.p.refuse("part", src); err != nil {
		return err
	}
	return u.p.relative(u.upload.(PartCopier).CopyPart(ctx, n, u.p.prefix+src, v, r))
}

func (u *prefixedUpload) SetMetadata(m map[string]string) {
	u.upload.(LateMetadata).SetMetadata(m)
}

func (u *prefixedUpload) SetSHA256(sum []byte) { u.upload.(LateSHA256).SetSHA256(sum) }
