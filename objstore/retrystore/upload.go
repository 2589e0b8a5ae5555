package retrystore

import (
	"context"
	"io"

	"github.com/pailfs/pailfs/objstore"
)

type upload struct {
	objstore.Upload
	s   *retried
	key string
}

// PutPart is made again only where a part may be sent again at all.
func (u *upload) PutPart(ctx context.Context, n int, body *io.SectionReader) error {
	if u.s.Caps().OrderedParts {
		return u.Upload.PutPart(ctx, n, body)
	}
	return u.s.do(ctx, "part", u.key, func() error { return u.Upload.PutPart(ctx, n, body) })
}

func (u *upload) CopyPart(ctx context.Context, n int, src string, v objstore.Version, r objstore.Range) error {
	copies := u.Upload.(objstore.PartCopier)
	if u.s.Caps().OrderedParts {
		return copies.CopyPart(ctx, n, src, v, r)
	}
	return u.s.do(ctx, "part", u.key, func() error { return copies.CopyPart(ctx, n, src, v, r) })
}

func (u *upload) SetMetadata(m map[string]string) { u.Upload.(objstore.LateMetadata).SetMetadata(m) }

func (u *upload) SetSHA256(sum []byte) { u.Upload.(objstore.LateSHA256).SetSHA256(sum) }

// Commit whose answer was lost may find that the upload is gone: the caller
// looks at the object, which carries an id.
func (u *upload) Commit(ctx context.Context, last int) (o objstore.Object, err error) {
	err = u.s.do(ctx, "commit", u.key, func() error {
		o, err = u.Upload.Commit(ctx, last)
		return err
	})
	return o, err
}

func (u *upload) Abort(ctx context.Context) error {
	return u.s.do(ctx, "abort", u.key, func() error { return u.Upload.Abort(ctx) })
}
