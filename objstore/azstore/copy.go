package azstore

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/internal/wire"
)

// Copy looks at the source first: its tier would not come along by itself, and
// the answer says neither size nor metadata. It returns when all is copied.
func (s *Store) Copy(ctx context.Context, dst, src string, opt objstore.CopyOptions) (objstore.Object, error) {
	var none objstore.Object
	if err := errors.Join(checkKey("copy", dst), checkKey("copy", src)); err != nil {
		return none, err
	}
	if dst == src {
		return s.rewriteMetadata(ctx, src, opt)
	}
	p, err := s.properties(ctx, src)
	if err != nil {
		return none, s.classify("copy", src, err)
	}
	from := object(src, &p)
	switch {
	case opt.Src != "" && from.Version != opt.Src:
		return none, objstore.NewError("copy", src, objstore.ErrCond, fmt.Errorf("version %q is there", from.Version))
	case from.Size > maxCopy:
		return none, &objstore.Error{Op: "copy", Key: src, Kind: objstore.ErrUnsupported,
			Err: fmt.Errorf("%d bytes are more than is copied at once", from.Size)}
	}
	var class string
	if !value(p.AccessTierInferred) {
		class = from.StorageClass
	}
	if opt.Metadata != nil {
		from.Metadata = wire.Known(opt.Metadata)
	}
	ctx, t := watch(ctx)
	tag, modified, err := s.copyFrom(ctx, dst, src, p.ETag, class, opt)
	if err != nil {
		return s.settle(ctx, t, "copy", dst, from.Size, objstore.PutOptions{ContentType: from.ContentType, Metadata: from.Metadata}, err)
	}
	if opt.Metadata != nil && len(opt.Metadata) == 0 && len(p.Metadata) > 0 {
		// No metadata in a copy means those of the source.
		return s.rewriteMetadata(ctx, dst, objstore.CopyOptions{Src: version(tag), Metadata: opt.Metadata})
	}
	from.Key, from.Version, from.ModTime = dst, version(tag), answered(modified, nil)
	return from, nil
}

// copyFrom is one request that copies a whole blob which has the ETag. It returns
// ETag and time of the copy. Its error is the SDK's.
func (s *Store) copyFrom(ctx context.Context, dst, src string, tag *azcore.ETag, class string, opt objstore.CopyOptions) (*azcore.ETag, *time.Time, error) {
	from, err := s.source(ctx, src)
	if err != nil {
		return nil, nil, err
	}
	condition := &blob.SourceModifiedAccessConditions{SourceIfMatch: tag}
	if s.copies() {
		resp, err := s.blockBlob(dst).UploadBlobFromURL(ctx, from.url, &blockblob.UploadBlobFromURLOptions{
			CopySourceAuthorization:        from.authorization,
			CopySourceBlobProperties:       to.Ptr(true),
			Metadata:                       encodeMetadata(opt.Metadata),
			Tier:                           tier(class),
			AccessConditions:               conditions(opt.Dst),
			SourceModifiedAccessConditions: condition,
		})
		if !s.lacks(err) {
			return resp.ETag, resp.LastModified, err
		}
	}
	// The older request does the same, of sizes that emulators do not mind.
	resp, err := s.blob(dst).CopyFromURL(ctx, from.url, &blob.CopyFromURLOptions{
		CopySourceAuthorization:        from.authorization,
		Metadata:                       encodeMetadata(opt.Metadata),
		Tier:                           tier(class),
		BlobAccessConditions:           conditions(opt.Dst),
		SourceModifiedAccessConditions: condition,
	})
	return resp.ETag, resp.LastModified, err
}

// copies says whether the endpoint knows the requests that copy from a URL, as
// far as is known. Emulators do not.
func (s *Store) copies() bool { return !s.noCopies.Load() }

// lacks says whether an answer means that it does not, and remembers that.
func (s *Store) lacks(err error) bool {
	if newFailure(err).status != http.StatusNotImplemented {
		return false
	}
	s.noCopies.Store(true)
	return true
}

// rewriteMetadata replaces the metadata of a blob where it is. Its bytes stay,
// and what is staged at it too; its version changes all the same.
func (s *Store) rewriteMetadata(ctx context.Context, key string, opt objstore.CopyOptions) (objstore.Object, error) {
	var none objstore.Object
	p, err := s.properties(ctx, key)
	if err != nil {
		return none, s.classify("copy", key, err)
	}
	o := object(key, &p)
	if opt.Dst.Absent || opt.Src != "" && opt.Src != o.Version || opt.Dst.Version != "" && opt.Dst.Version != o.Version {
		return none, objstore.NewError("copy", key, objstore.ErrCond, fmt.Errorf("version %q is there", o.Version))
	}
	if opt.Metadata == nil {
		return o, nil
	}
	ctx, t := watch(ctx)
	resp, err := s.blob(key).SetMetadata(ctx, encodeMetadata(opt.Metadata), &blob.SetMetadataOptions{
		AccessConditions: conditions(objstore.Cond{Version: o.Version}),
	})
	switch {
	case err != nil && unmet(err) && !t.lost.Load() && opt.Src == "" && opt.Dst.IsZero() && ctx.Err() == nil:
		return s.rewriteMetadata(ctx, key, opt) // changed between the two requests
	case err != nil:
		return s.settle(ctx, t, "copy", key, o.Size, objstore.PutOptions{ContentType: o.ContentType, Metadata: opt.Metadata}, err)
	}
	o.Version, o.ModTime, o.Metadata = version(resp.ETag), answered(resp.LastModified, resp.Date), wire.Known(opt.Metadata)
	return o, nil
}
