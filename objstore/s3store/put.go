package s3store

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/internal/wire"
)

// defaultType is the content type of what nobody named a type for.
const defaultType = "application/octet-stream"

func (s *Store) Put(ctx context.Context, key string, body *io.SectionReader, opt objstore.PutOptions) (objstore.Object, error) {
	var none objstore.Object
	if err := s.checkKey("put", key); err != nil {
		return none, err
	}
	if body.Size() > 0 && s.marks(key) {
		return none, &objstore.Error{Op: "put", Key: key, Kind: objstore.ErrUnsupported, Err: errMarker}
	}
	h, err := s.conditions(ctx, "put", key, opt.Cond, s.facts.Load().condPut)
	if err != nil {
		return none, err
	}
	o, err := s.put(ctx, key, body, opt, h, *s.algorithm.Load())
	if err != nil && s.fallBack(*s.algorithm.Load(), err) {
		o, err = s.put(ctx, key, body, opt, h, ChecksumMD5)
	}
	if err != nil && opt.Cond.Version != "" && gone(err) {
		err = objstore.NewError("put", key, objstore.ErrCond, err)
	}
	return o, s.classify("put", key, err)
}

// put is one PutObject. Its error is the SDK's.
func (s *Store) put(ctx context.Context, key string, body *io.SectionReader, opt objstore.PutOptions, h headers, algorithm Checksum) (objstore.Object, error) {
	d, err := digestOf(body, algorithm, opt.Checksums)
	if err != nil {
		return objstore.Object{}, err
	}
	in := &s3.PutObjectInput{
		Bucket:         &s.cfg.Bucket,
		Key:            &key,
		Body:           io.NewSectionReader(body, 0, body.Size()),
		ContentLength:  aws.Int64(body.Size()),
		ContentType:    contentType(opt.ContentType),
		StorageClass:   types.StorageClass(opt.StorageClass),
		Metadata:       encodeMetadata(opt.Metadata),
		ChecksumCRC32C: d.crc32c,
		ContentMD5:     d.md5,
		IfMatch:        h.ifMatch,
		IfNoneMatch:    h.ifNoneMatch,
	}
	out, err := s.client.PutObject(ctx, in, s.sending(d)...)
	if err != nil {
		return objstore.Object{}, err
	}
	o := written(key, body.Size(), opt, version(out.ETag), out.ResultMetadata)
	o.Checksums = checksums(out.ChecksumCRC32C, nil, nil, out.ChecksumType)
	if d.crc32c != nil && out.ChecksumCRC32C == nil {
		err = s.silent(body, o.Version, out.ServerSideEncryption != "" && out.ServerSideEncryption != types.ServerSideEncryptionAes256)
	}
	return o, err
}

func contentType(t string) *string {
	if t == "" {
		t = defaultType
	}
	return &t
}

// written describes an object as it was just written: S3 answers with the ETag
// alone. ModTime is the time of the answer, which may be a moment later than the
// one that S3 keeps.
func written(key string, size int64, opt objstore.PutOptions, v objstore.Version, meta middleware.Metadata) objstore.Object {
	return objstore.Object{
		Key:           key,
		Size:          size,
		ModTime:       answered(meta),
		Version:       v,
		ContentType:   *contentType(opt.ContentType),
		StorageClass:  storageClass(opt.StorageClass),
		Metadata:      wire.Known(opt.Metadata),
		MetadataKnown: true,
	}
}

// answered is when the store answered, by its own clock.
func answered(meta middleware.Metadata) time.Time {
	if t, ok := awsmiddleware.GetServerTime(meta); ok && !t.IsZero() {
		return t
	}
	if resp, ok := awsmiddleware.GetRawResponse(meta).(*smithyhttp.Response); ok {
		if t, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
			return t
		}
	}
	return time.Now()
}

func (s *Store) Delete(ctx context.Context, key string, cond objstore.Cond) error {
	if err := s.checkKey("delete", key); err != nil {
		return err
	}
	if cond.Absent { // nothing to delete, or not to be deleted
		return s.checkCond(ctx, "delete", key, cond)
	}
	f := s.facts.Load()
	if f.deletesNothing && cond.Version != "" && f.condDelete == honoured {
		// The header still decides if somebody else writes meanwhile.
		if err := s.checkCond(ctx, "delete", key, cond); err != nil {
			return err
		}
	}
	h, err := s.conditions(ctx, "delete", key, cond, f.condDelete)
	if err != nil {
		return err
	}
	err = s.delete(ctx, key, h)
	if err != nil && gone(err) {
		if cond.Version == "" {
			return nil
		}
		err = objstore.NewError("delete", key, objstore.ErrCond, err)
	}
	return s.classify("delete", key, err)
}

// delete is one DeleteObject. Its error is the SDK's.
func (s *Store) delete(ctx context.Context, key string, h headers) error {
	_, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.cfg.Bucket, Key: &key, IfMatch: h.ifMatch})
	return err
}
