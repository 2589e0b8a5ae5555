package azstore

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/internal/wire"
)

// defaultType is the content type of what nobody named a type for.
const defaultType = "application/octet-stream"

func (s *Store) Put(ctx context.Context, key string, body *io.SectionReader, opt objstore.PutOptions) (objstore.Object, error) {
	var none objstore.Object
	if err := checkKey("put", key); err != nil {
		return none, err
	}
	if body.Size() > maxPut {
		return none, &objstore.Error{Op: "put", Key: key, Kind: objstore.ErrUnsupported,
			Err: fmt.Errorf("%d bytes are more than one request holds", body.Size())}
	}
	check, err := s.validation(body, opt.Checksums)
	if err != nil {
		return none, s.classify("put", key, err)
	}
	ctx, t := watch(ctx)
	resp, err := s.blockBlob(key).Upload(ctx, sending(body), &blockblob.UploadOptions{
		TransactionalValidation: check,
		HTTPHeaders:             headers(opt),
		Metadata:                encodeMetadata(opt.Metadata),
		Tier:                    tier(opt.StorageClass),
		AccessConditions:        conditions(opt.Cond),
	})
	if err != nil {
		return s.settle(ctx, t, "put", key, body.Size(), opt, err)
	}
	o := written(key, body.Size(), opt)
	o.Version, o.ModTime = version(resp.ETag), answered(resp.LastModified, resp.Date)
	o.Checksums.MD5 = resp.ContentMD5
	return o, nil
}

// headers are what a blob is given besides its bytes and its metadata.
func headers(opt objstore.PutOptions) *blob.HTTPHeaders {
	return &blob.HTTPHeaders{BlobContentType: to.Ptr(contentType(opt))}
}

func contentType(opt objstore.PutOptions) string {
	if opt.ContentType == "" {
		return defaultType
	}
	return opt.ContentType
}

// tier is an access tier as the service writes it; nil is the account's own.
func tier(class string) *blob.AccessTier {
	if class == "" {
		return nil
	}
	for _, t := range blob.PossibleAccessTierValues() {
		if strings.EqualFold(class, string(t)) {
			return &t
		}
	}
	return to.Ptr(blob.AccessTier(class))
}

// written is what an object must look like that was just written.
func written(key string, size int64, opt objstore.PutOptions) objstore.Object {
	return objstore.Object{
		Key:           key,
		Size:          size,
		ContentType:   contentType(opt),
		StorageClass:  string(value(tier(opt.StorageClass))),
		Metadata:      wire.Known(opt.Metadata),
		MetadataKnown: true,
	}
}

// settle finds out whether a request failed because an earlier try of it, which
// got no answer, was carried out: then what is there is what was to be there.
func (s *Store) settle(ctx context.Context, t *tries, op, key string, size int64, opt objstore.PutOptions, err error) (objstore.Object, error) {
	if t.lost.Load() && unmet(err) && len(opt.Metadata) > 0 {
		p, statErr := s.properties(ctx, key)
		if o := object(key, &p); statErr == nil && o.Size == size && o.ContentType == contentType(opt) && sameMetadata(o.Metadata, opt.Metadata) {
			return o, nil
		}
	}
	return objstore.Object{}, s.classify(op, key, err)
}

func (s *Store) Delete(ctx context.Context, key string, cond objstore.Cond) error {
	if err := checkKey("delete", key); err != nil {
		return err
	}
	if cond.Absent { // nothing to delete, or not to be deleted
		_, err := s.properties(ctx, key)
		switch {
		case err == nil:
			return &objstore.Error{Op: "delete", Key: key, Kind: objstore.ErrCond}
		case gone(err):
			return nil
		}
		return s.classify("delete", key, err)
	}
	ctx, t := watch(ctx)
	_, err := s.blob(key).Delete(ctx, &blob.DeleteOptions{AccessConditions: conditions(cond)})
	if err != nil && gone(err) {
		if cond.Version == "" || t.lost.Load() {
			return nil
		}
		err = objstore.NewError("delete", key, objstore.ErrCond, err)
	}
	return s.classify("delete", key, err)
}
