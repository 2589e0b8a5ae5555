package s3store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/internal/wire"
)

func (s *Store) Stat(ctx context.Context, key string) (objstore.Object, error) {
	if err := s.checkKey("stat", key); err != nil {
		return objstore.Object{}, err
	}
	o, err := s.head(ctx, "stat", key, "")
	return s.noted(ctx, o), err
}

// head describes the object at key, which must have version v if that is given.
func (s *Store) head(ctx context.Context, op, key string, v objstore.Version) (objstore.Object, error) {
	out, err := s.headOutput(ctx, op, key, v)
	if err != nil {
		return objstore.Object{}, err
	}
	return headObject(key, out), nil
}

func (s *Store) headOutput(ctx context.Context, op, key string, v objstore.Version) (*s3.HeadObjectOutput, error) {
	in := &s3.HeadObjectInput{Bucket: &s.cfg.Bucket, Key: &key, ChecksumMode: types.ChecksumModeEnabled}
	if v != "" {
		in.IfMatch = aws.String(quote(v))
	}
	out, err := s.client.HeadObject(ctx, in)
	if err != nil {
		switch newFailure(err).status {
		case http.StatusBadRequest, http.StatusForbidden:
			out, err = s.explain(ctx, in)
		}
	}
	if err != nil {
		return nil, s.classify(op, key, err)
	}
	if v != "" && version(out.ETag) != v { // not every store looks at the header
		return nil, &objstore.Error{Op: op, Key: key, Kind: objstore.ErrCond}
	}
	return out, nil
}

// explain finds the reason of a refused HEAD, whose answer has no body to say
// it: an expired token, a key that is not known, a wrong region and a key too long
// all look the same. If there is none any more, it asks again.
func (s *Store) explain(ctx context.Context, in *s3.HeadObjectInput) (*s3.HeadObjectOutput, error) {
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: in.Bucket, Key: in.Key, Range: aws.String("bytes=0-0")})
	switch code := newFailure(err).code; {
	case err == nil:
		out.Body.Close()
	case code == "InvalidRange": // the object is empty
	default:
		return nil, err
	}
	return s.client.HeadObject(ctx, in)
}

func headObject(key string, out *s3.HeadObjectOutput) objstore.Object {
	return objstore.Object{
		Key:           key,
		Size:          aws.ToInt64(out.ContentLength),
		ModTime:       aws.ToTime(out.LastModified),
		Version:       version(out.ETag),
		ContentType:   aws.ToString(out.ContentType),
		StorageClass:  storageClass(string(out.StorageClass)),
		Metadata:      decodeMetadata(out.Metadata),
		MetadataKnown: true,
		Checksums:     checksums(out.ChecksumCRC32C, out.ChecksumCRC64NVME, out.ChecksumSHA256, out.ChecksumType),
	}
}

// storageClass names the class that answers about one object leave out.
func storageClass(c string) string {
	if c == "" {
		return string(types.StorageClassStandard)
	}
	return c
}

func (s *Store) Get(ctx context.Context, key string, r objstore.Range, cond objstore.Cond) (io.ReadCloser, objstore.Object, error) {
	var none objstore.Object
	if err := s.checkKey("get", key); err != nil {
		return nil, none, err
	}
	if r.Off < 0 {
		return nil, none, &objstore.Error{Op: "get", Key: key, Kind: objstore.ErrRange}
	}
	if r.Len == 0 || cond.Absent { // HTTP has no empty range
		return s.getNothing(ctx, key, r, cond)
	}
	in := &s3.GetObjectInput{Bucket: &s.cfg.Bucket, Key: &key}
	if cond.Version != "" {
		in.IfMatch = aws.String(quote(cond.Version))
	}
	switch {
	case r.Len > 0:
		in.Range = aws.String(fmt.Sprintf("bytes=%d-%d", r.Off, r.Off+r.Len-1))
	case r.Off > 0:
		in.Range = aws.String(fmt.Sprintf("bytes=%d-", r.Off))
	default: // the SDK verifies a whole object
		in.ChecksumMode = types.ChecksumModeEnabled
	}
	out, err := s.client.GetObject(ctx, in)
	if err != nil {
		err = s.classify("get", key, err)
		if errors.Is(err, objstore.ErrRange) && r.Off == 0 { // every range is outside an empty object
			return s.getNothing(ctx, key, r, cond)
		}
		return nil, none, err
	}
	o := getObject(key, out)
	if cond.Version != "" && o.Version != cond.Version { // not every store looks at the header
		out.Body.Close()
		return nil, none, &objstore.Error{Op: "get", Key: key, Kind: objstore.ErrCond}
	}
	want := aws.ToInt64(out.ContentLength)
	if in.Range != nil {
		off, end, size, ok := wire.ContentRange(aws.ToString(out.ContentRange))
		if !ok || off != r.Off {
			out.Body.Close()
			return nil, none, &objstore.Error{Op: "get", Key: key, Kind: objstore.ErrUnsupported,
				Err: fmt.Errorf("asked for %s, the store answers with %q", *in.Range, aws.ToString(out.ContentRange))}
		}
		o.Size, want = size, end-off
	}
	return &body{s: s, key: key, body: out.Body, left: want}, o, nil
}

func getObject(key string, out *s3.GetObjectOutput) objstore.Object {
	o := objstore.Object{
		Key:           key,
		Size:          aws.ToInt64(out.ContentLength),
		ModTime:       aws.ToTime(out.LastModified),
		Version:       version(out.ETag),
		ContentType:   aws.ToString(out.ContentType),
		StorageClass:  storageClass(string(out.StorageClass)),
		Metadata:      decodeMetadata(out.Metadata),
		MetadataKnown: true,
	}
	if out.ContentRange == nil {
		o.Checksums = checksums(out.ChecksumCRC32C, out.ChecksumCRC64NVME, out.ChecksumSHA256, out.ChecksumType)
	}
	return o
}

// getNothing is a Get of no bytes: an empty range, or one of an empty object.
func (s *Store) getNothing(ctx context.Context, key string, r objstore.Range, cond objstore.Cond) (io.ReadCloser, objstore.Object, error) {
	o, err := s.head(ctx, "get", key, cond.Version)
	if err != nil {
		return nil, objstore.Object{}, err
	}
	return wire.Nothing(o, r, cond)
}

// A body reads the bytes of one answer.
type body struct {
	s    *Store
	key  string
	body io.ReadCloser
	left int64 // bytes to come
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	b.left -= int64(n)
	switch {
	case err == nil:
		return n, nil
	case err == io.EOF && b.left <= 0:
		return n, io.EOF
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
	case b.left <= 0 && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded):
		// All has come, and still the SDK is not content: with the checksum.
		err = fmt.Errorf("%w: %w", errChecksum, err)
	}
	return n, b.s.classify("get", b.key, err)
}

func (b *body) Close() error { return b.body.Close() }
