package azstore

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/minio/crc64nvme"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/internal/wire"
)

func (s *Store) Stat(ctx context.Context, key string) (objstore.Object, error) {
	if err := checkKey("stat", key); err != nil {
		return objstore.Object{}, err
	}
	p, err := s.properties(ctx, key)
	if err != nil {
		return objstore.Object{}, s.classify("stat", key, err)
	}
	return object(key, &p), nil
}

// properties is one Get Blob Properties. Its error is the SDK's.
func (s *Store) properties(ctx context.Context, key string) (blob.GetPropertiesResponse, error) {
	return s.blob(key).GetProperties(ctx, nil)
}

func object(key string, p *blob.GetPropertiesResponse) objstore.Object {
	o := objstore.Object{
		Key:           key,
		Size:          value(p.ContentLength),
		ModTime:       value(p.LastModified),
		Version:       version(p.ETag),
		ContentType:   value(p.ContentType),
		StorageClass:  value(p.AccessTier),
		Metadata:      decodeMetadata(p.Metadata),
		MetadataKnown: true,
	}
	if len(p.ContentMD5) == md5.Size {
		o.Checksums.MD5 = p.ContentMD5
	}
	return o
}

// value is what p points to, or nothing.
func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// version is an ETag without its quotes, which listings leave out.
func version(etag *azcore.ETag) objstore.Version {
	return objstore.Version(strings.Trim(string(value(etag)), `"`))
}

func etag(v objstore.Version) *azcore.ETag {
	return to.Ptr(azcore.ETag(`"` + string(v) + `"`))
}

// conditions of the SDK for one of ours; nil for none.
func conditions(c objstore.Cond) *blob.AccessConditions {
	m := &blob.ModifiedAccessConditions{}
	switch {
	case c.Absent:
		m.IfNoneMatch = to.Ptr(azcore.ETagAny)
	case c.Version != "":
		m.IfMatch = etag(c.Version)
	default:
		return nil
	}
	return &blob.AccessConditions{ModifiedAccessConditions: m}
}

func (s *Store) Get(ctx context.Context, key string, r objstore.Range, cond objstore.Cond) (io.ReadCloser, objstore.Object, error) {
	var none objstore.Object
	if err := checkKey("get", key); err != nil {
		return nil, none, err
	}
	if r.Off < 0 {
		return nil, none, &objstore.Error{Op: "get", Key: key, Kind: objstore.ErrRange}
	}
	if r.Len == 0 || cond.Absent { // HTTP has no empty range
		return s.getNothing(ctx, key, r, cond)
	}
	opt := &blob.DownloadStreamOptions{
		Range:            blob.HTTPRange{Offset: r.Off, Count: max(r.Len, 0)}, // 0 is to the end
		AccessConditions: conditions(cond),
	}
	asking := ctx
	if r.Len > 0 && r.Len <= maxChecked {
		asking = s.checked(ctx, opt)
	}
	resp, err := s.blob(key).DownloadStream(asking, opt)
	if err != nil {
		err = s.classify("get", key, err)
		switch {
		case errors.Is(err, objstore.ErrRange) && r.Off == 0: // every range is outside an empty object
			return s.getNothing(ctx, key, r, cond)
		case errors.Is(err, objstore.ErrCond): // also where no blob is
			if _, statErr := s.properties(ctx, key); statErr != nil && gone(statErr) {
				err = s.classify("get", key, statErr)
			}
		}
		return nil, none, err
	}
	o := objstore.Object{
		Key:           key,
		Size:          value(resp.ContentLength),
		ModTime:       value(resp.LastModified),
		Version:       version(resp.ETag),
		ContentType:   value(resp.ContentType),
		Metadata:      decodeMetadata(resp.Metadata),
		MetadataKnown: true,
	}
	b := &body{s: s, key: key, left: o.Size}
	if resp.ContentRange != nil {
		off, end, size, ok := wire.ContentRange(*resp.ContentRange)
		switch {
		case !ok || off != r.Off:
			resp.Body.Close()
			kind := objstore.ErrUnsupported
			if strings.HasPrefix(*resp.ContentRange, fmt.Sprintf("bytes %d-%d/", r.Off, r.Off-1)) { // Azurite, at the end exactly
				kind = objstore.ErrRange
			}
			return nil, none, &objstore.Error{Op: "get", Key: key, Kind: kind,
				Err: fmt.Errorf("asked for bytes from %d on, the store answers with %q", r.Off, *resp.ContentRange)}
		}
		o.Size, b.left = size, end-off
	} else if r.Off > 0 {
		resp.Body.Close()
		return nil, none, &objstore.Error{Op: "get", Key: key, Kind: objstore.ErrUnsupported, Err: errors.New("the store takes no notice of the range")}
	}
	switch { // of what comes, part or whole
	case len(resp.ContentCRC64) == crc64nvme.Size:
		b.want, b.sum = crcBytes(resp.ContentCRC64), crc64nvme.New()
	case len(resp.ContentMD5) == md5.Size:
		b.want, b.sum = resp.ContentMD5, md5.New()
	}
	if len(resp.BlobContentMD5) == md5.Size {
		o.Checksums.MD5 = resp.BlobContentMD5
	} else if resp.ContentRange == nil && len(resp.ContentMD5) == md5.Size {
		o.Checksums.MD5 = resp.ContentMD5
	}
	b.body = resp.NewRetryReader(ctx, &blob.RetryReaderOptions{MaxRetries: int32(s.cfg.Retry.Attempts - 1), EarlyCloseAsError: true})
	return b, o, nil
}

// getNothing is a Get of no bytes: an empty range, or one of an empty object.
func (s *Store) getNothing(ctx context.Context, key string, r objstore.Range, cond objstore.Cond) (io.ReadCloser, objstore.Object, error) {
	p, err := s.properties(ctx, key)
	if err != nil {
		return nil, objstore.Object{}, s.classify("get", key, err)
	}
	return wire.Nothing(object(key, &p), r, cond)
}

// A body reads the bytes of one download, and compares their checksum where the
// answer had one. The SDK opens it again where it breaks off, at the next byte
// of the same version.
type body struct {
	s    *Store
	key  string
	body io.ReadCloser
	left int64     // bytes to come
	want []byte    // the sum of all, or nil
	sum  hash.Hash // of what came
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	b.left -= int64(n)
	if b.sum != nil {
		b.sum.Write(p[:n])
	}
	switch {
	case err == nil:
		return n, nil
	case err == io.EOF && b.left == 0:
		if b.sum != nil && !bytes.Equal(b.sum.Sum(nil), b.want) {
			err = errChecksum
			break
		}
		return n, io.EOF
	case err == io.EOF && b.left < 0:
		err = fmt.Errorf("%w: %d bytes too many", errChecksum, -b.left)
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
	case gone(err): // opened again, and the blob is no more
		err = objstore.NewError("get", b.key, objstore.ErrCond, err)
	}
	return n, b.s.classify("get", b.key, err)
}

func (b *body) Close() error { return b.body.Close() }

// answered is when a request was carried out, by the service's clock.
func answered(modified, date *time.Time) time.Time {
	switch {
	case modified != nil:
		return *modified
	case date != nil:
		return *date
	}
	return time.Now()
}
