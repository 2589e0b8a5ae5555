package azstore

import (
	"context"
	"fmt"
	"io"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"

	"github.com/pailfs/pailfs/objstore"
)

// CopyPart keeps the blocks of the object that is being replaced: nothing is
// moved, however large it is. Any other range is copied inside the service; at
// an endpoint that has no such request it is read and sent again.
func (u *upload) CopyPart(ctx context.Context, n int, src string, v objstore.Version, r objstore.Range) error {
	if err := u.checkPart(n); err != nil {
		return err
	}
	if err := checkKey("part", src); err != nil {
		return err
	}
	p, err := u.copyPart(ctx, src, v, r)
	if err != nil {
		return u.s.classify("part", src, err)
	}
	return u.add(n, p)
}

func (u *upload) copyPart(ctx context.Context, src string, v objstore.Version, r objstore.Range) (p part, err error) {
	if err := u.begin(ctx); err != nil {
		return p, err
	}
	props, err := u.s.properties(ctx, src)
	if err != nil {
		return p, err
	}
	o := object(src, &props)
	if v != "" && v != o.Version {
		return p, objstore.NewError("part", src, objstore.ErrCond, fmt.Errorf("version %q is there", o.Version))
	}
	if r.Len < 0 {
		r.Len = o.Size - r.Off
	}
	if r.Off < 0 || r.Len <= 0 || r.Len > o.Size-r.Off {
		return p, &objstore.Error{Op: "part", Key: src, Kind: objstore.ErrRange}
	}
	ids, left, right := u.kept(src, o.Version, r)
	head, err := u.move(ctx, o, left)
	if err != nil {
		return p, err
	}
	tail, err := u.move(ctx, o, right)
	if err != nil {
		return p, err
	}
	return part{ids: append(append(head, ids...), tail...), size: r.Len}, nil
}

// move makes blocks of a range of an object. Its error is the SDK's.
func (u *upload) move(ctx context.Context, o objstore.Object, r objstore.Range) (ids []string, err error) {
	for r.Len > 0 {
		var id string
		n := min(r.Len, maxCopy)
		if u.s.copies() {
			id, err = u.stageFrom(ctx, o, objstore.Range{Off: r.Off, Len: n})
		}
		if !u.s.copies() || u.s.lacks(err) {
			n = min(n, maxChecked) // in memory, with a checksum both ways
			id, err = u.resend(ctx, o, objstore.Range{Off: r.Off, Len: n})
		}
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
		r.Off, r.Len = r.Off+n, r.Len-n
	}
	return ids, nil
}

// stageFrom is one Put Block From URL.
func (u *upload) stageFrom(ctx context.Context, o objstore.Object, r objstore.Range) (string, error) {
	from, err := u.s.source(ctx, o.Key)
	if err != nil {
		return "", err
	}
	return u.named(ctx, func(id string) error {
		_, err := u.s.blockBlob(u.key).StageBlockFromURL(ctx, id, from.url, &blockblob.StageBlockFromURLOptions{
			CopySourceAuthorization:        from.authorization,
			Range:                          blob.HTTPRange{Offset: r.Off, Count: r.Len},
			SourceModifiedAccessConditions: &blob.SourceModifiedAccessConditions{SourceIfMatch: to.Ptr(*etag(o.Version))},
		})
		return err
	})
}

// resend reads a range and stages it.
func (u *upload) resend(ctx context.Context, o objstore.Object, r objstore.Range) (string, error) {
	body, _, err := u.s.Get(ctx, o.Key, r, objstore.Cond{Version: o.Version})
	if err != nil {
		return "", err
	}
	defer body.Close()
	b := make([]byte, r.Len)
	if _, err := io.ReadFull(body, b); err != nil {
		return "", err
	}
	return u.stage(ctx, section(b))
}
