package s3store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/internal/wire"
)

// Copy looks at the source first: S3 answers to a copy with neither size nor
// metadata, and a copy that replaces the metadata would drop the content type
// and its like if they were not sent again.
func (s *Store) Copy(ctx context.Context, dst, src string, opt objstore.CopyOptions) (objstore.Object, error) {
	var none objstore.Object
	if err := s.checkKey("copy", dst); err != nil {
		return none, err
	}
	if err := s.checkKey("copy", src); err != nil {
		return none, err
	}
	from, err := s.headOutput(ctx, "copy", src, opt.Src)
	if err != nil {
		return none, err
	}
	if size := aws.ToInt64(from.ContentLength); size > maxOnce {
		return none, &objstore.Error{Op: "copy", Key: src, Kind: objstore.ErrUnsupported,
			Err: fmt.Errorf("%d bytes are more than S3 copies at once", size)}
	}
	if o := headObject(src, from); opt.Metadata == nil && o.Metadata[objstore.MetaSHA256] == objstore.SHA256Later {
		// The tag is of the ETag that the source has.
		if o = s.noted(ctx, o); o.NotedSHA256() != nil {
			opt.Metadata = o.Metadata
		}
	}
	f := s.facts.Load()
	switch {
	case !opt.Dst.IsZero() && f.condCopy != honoured && f.copiesAsUpload():
		return s.copyAsUpload(ctx, dst, src, from, opt)
	case dst == src && from.ChecksumCRC32C == nil && !f.noPartCopies && !s.cfg.amazon() && *s.algorithm.Load() == ChecksumCRC32C:
		// versitygw 1.8 gives an object that is copied onto itself, with another
		// checksum algorithm, the checksum of no bytes.
		return s.copyAsUpload(ctx, dst, src, from, opt)
	}
	h, err := s.conditions(ctx, "copy", dst, opt.Dst, f.condCopy)
	if err != nil {
		return none, err
	}
	o, err := s.copy(ctx, dst, src, from, opt.Metadata, h)
	if err != nil {
		if opt.Dst.Version != "" && gone(err) {
			err = objstore.NewError("copy", dst, objstore.ErrCond, err)
		}
		return none, s.classify("copy", dst, err)
	}
	return o, nil
}

// copy is one CopyObject of what from describes. Its error is the SDK's.
func (s *Store) copy(ctx context.Context, dst, src string, from *s3.HeadObjectOutput, metadata map[string]string, h headers) (objstore.Object, error) {
	in := &s3.CopyObjectInput{
		Bucket:            &s.cfg.Bucket,
		Key:               &dst,
		CopySource:        s.copySource(src),
		CopySourceIfMatch: from.ETag,
		StorageClass:      types.StorageClass(storageClass(string(from.StorageClass))),
		IfMatch:           h.ifMatch,
		IfNoneMatch:       h.ifNoneMatch,
	}
	if *s.algorithm.Load() == ChecksumCRC32C {
		in.ChecksumAlgorithm = ours
	}
	if from.ServerSideEncryption != types.ServerSideEncryptionAes256 {
		in.ServerSideEncryption, in.SSEKMSKeyId = from.ServerSideEncryption, from.SSEKMSKeyId
	}
	o := headObject(dst, from)
	if metadata != nil || dst == src {
		if metadata == nil {
			metadata = o.Metadata
		}
		in.MetadataDirective = types.MetadataDirectiveReplace
		in.Metadata = encodeMetadata(metadata)
		in.ContentType = from.ContentType
		in.CacheControl = from.CacheControl
		in.ContentDisposition = from.ContentDisposition
		in.ContentEncoding = from.ContentEncoding
		in.ContentLanguage = from.ContentLanguage
		o.Metadata = wire.Known(metadata)
	}
	out, err := s.client.CopyObject(ctx, in)
	if err != nil {
		return objstore.Object{}, err
	}
	if out.CopyObjectResult == nil || out.CopyObjectResult.ETag == nil {
		return objstore.Object{}, errNoETag
	}
	o.Version = version(out.CopyObjectResult.ETag)
	o.ModTime = aws.ToTime(out.CopyObjectResult.LastModified)
	o.Checksums = checksums(out.CopyObjectResult.ChecksumCRC32C, nil, nil, out.CopyObjectResult.ChecksumType)
	return o, nil
}

// copyAsUpload copies as an upload of one copied part, where CopyObject would
// not do.
func (s *Store) copyAsUpload(ctx context.Context, dst, src string, from *s3.HeadObjectOutput, opt objstore.CopyOptions) (objstore.Object, error) {
	o := headObject(src, from)
	put := objstore.PutOptions{Cond: opt.Dst, ContentType: o.ContentType, StorageClass: o.StorageClass, Metadata: o.Metadata}
	if opt.Metadata != nil {
		put.Metadata = opt.Metadata
	}
	if o.Size == 0 {
		return s.Put(ctx, dst, io.NewSectionReader(strings.NewReader(""), 0, 0), put)
	}
	u, err := s.newUpload(ctx, dst, put, *s.algorithm.Load(), func(in *s3.CreateMultipartUploadInput) {
		in.CacheControl = from.CacheControl
		in.ContentDisposition = from.ContentDisposition
		in.ContentEncoding = from.ContentEncoding
		in.ContentLanguage = from.ContentLanguage
	})
	if err != nil {
		return objstore.Object{}, s.classify("copy", dst, err)
	}
	err = u.CopyPart(ctx, 1, src, o.Version, objstore.Range{Len: o.Size})
	var done objstore.Object
	if err == nil {
		done, err = u.Commit(ctx, 1)
	}
	if err != nil {
		// An upload that stays behind harms nobody but the bill.
		if aerr := u.abortAfter(ctx); aerr != nil {
			s.cfg.Log.Warn("an upload stays behind", "key", dst, "upload", u.id, "err", aerr)
		}
		if e := (*objstore.Error)(nil); errors.As(err, &e) {
			return objstore.Object{}, &objstore.Error{Op: "copy", Key: e.Key, Kind: e.Kind, Err: e.Err}
		}
	}
	return done, err
}

// copySource is "bucket/key", each byte escaped but those of a plain path.
func (s *Store) copySource(key string) *string {
	parts := strings.Split(key, "/")
	for i, p := range parts {
		parts[i] = strings.ReplaceAll(url.QueryEscape(p), "+", "%20")
	}
	return aws.String(s.cfg.Bucket + "/" + strings.Join(parts, "/"))
}
