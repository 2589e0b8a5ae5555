package s3store

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/internal/wire"
)

// errNoETag is a success without the one thing that it must carry: what became
// of the request is open.
var errNoETag = fmt.Errorf("the answer breaks off: %w", io.ErrUnexpectedEOF)

// upload is a multipart upload.
type upload struct {
	s        *Store
	key, id  string
	at       time.Time // when it began
	opt      objstore.PutOptions
	declared bool // the upload names the algorithm, and the commit each part's checksum

	mu        sync.Mutex
	algorithm Checksum // of the next part
	parts     map[int]part
	sum       []byte // SHA-256 to be noted, nil for none
	over      bool   // committed or aborted
}

// part is what S3 answered to a part.
type part struct {
	etag, crc32c *string
	size         int64
}

func (s *Store) NewUpload(ctx context.Context, key string, opt objstore.PutOptions) (objstore.Upload, error) {
	if err := s.checkKey("upload", key); err != nil {
		return nil, err
	}
	if s.marks(key) {
		return nil, &objstore.Error{Op: "upload", Key: key, Kind: objstore.ErrUnsupported, Err: errMarker}
	}
	algorithm := *s.algorithm.Load()
	u, err := s.newUpload(ctx, key, opt, algorithm)
	if err != nil && s.fallBack(algorithm, err) {
		u, err = s.newUpload(ctx, key, opt, ChecksumMD5)
	}
	if err != nil {
		return nil, s.classify("upload", key, err)
	}
	if s.facts.Load().noPartCopies {
		return struct { // no PartCopier
			objstore.Upload
			objstore.LateSHA256
		}{u, u}, nil
	}
	return u, nil
}

func (s *Store) newUpload(ctx context.Context, key string, opt objstore.PutOptions, algorithm Checksum, more ...func(*s3.CreateMultipartUploadInput)) (*upload, error) {
	in := &s3.CreateMultipartUploadInput{
		Bucket:       &s.cfg.Bucket,
		Key:          &key,
		ContentType:  contentType(opt.ContentType),
		StorageClass: types.StorageClass(opt.StorageClass),
		Metadata:     encodeMetadata(opt.Metadata),
	}
	declared := algorithm == ChecksumCRC32C && !s.facts.Load().badPartCopies
	if declared {
		in.ChecksumAlgorithm = ours
	}
	for _, f := range more {
		f(in)
	}
	out, err := s.client.CreateMultipartUpload(ctx, in)
	if err != nil {
		return nil, err
	}
	if out.UploadId == nil {
		return nil, errNoETag
	}
	if declared && out.ChecksumAlgorithm != ours && s.cfg.Checksum == ChecksumAuto {
		declared, algorithm = false, ChecksumMD5 // the store took no notice of the other
	}
	opt.Metadata = wire.Known(opt.Metadata)
	u := &upload{
		s: s, key: key, id: *out.UploadId, at: time.Now().UTC(), opt: opt,
		declared: declared, algorithm: algorithm, parts: map[int]part{},
	}
	if err := s.uploads.Begin(u.entry()); err != nil {
		return nil, errors.Join(fmt.Errorf("note the upload: %w", err), u.abortAfter(ctx))
	}
	return u, nil
}

func (u *upload) PutPart(ctx context.Context, n int, body *io.SectionReader) error {
	if err := u.checkPart(n); err != nil {
		return err
	}
	u.mu.Lock()
	algorithm := u.algorithm
	u.mu.Unlock()
	p, err := u.send(ctx, n, body, algorithm)
	if err != nil && !u.declared && u.s.cfg.Checksum == ChecksumAuto && algorithm == ChecksumCRC32C && refusesChecksum(err) {
		u.mu.Lock()
		u.algorithm = ChecksumMD5
		u.mu.Unlock()
		p, err = u.send(ctx, n, body, ChecksumMD5)
	}
	if err != nil {
		return u.s.classify("part", u.key, err)
	}
	return u.add(n, p)
}

// send is one UploadPart. Its error is the SDK's.
func (u *upload) send(ctx context.Context, n int, body *io.SectionReader, algorithm Checksum) (part, error) {
	d, err := digestOf(body, algorithm, objstore.Checksums{})
	if err != nil {
		return part{}, err
	}
	out, err := u.s.client.UploadPart(ctx, &s3.UploadPartInput{
		Bucket:         &u.s.cfg.Bucket,
		Key:            &u.key,
		UploadId:       &u.id,
		PartNumber:     aws.Int32(int32(n)),
		Body:           io.NewSectionReader(body, 0, body.Size()),
		ContentLength:  aws.Int64(body.Size()),
		ChecksumCRC32C: d.crc32c,
		ContentMD5:     d.md5,
	}, u.s.sending(d)...)
	if err == nil && out.ETag == nil {
		err = errNoETag
	}
	if err != nil {
		return part{}, err
	}
	return part{etag: out.ETag, crc32c: d.crc32c, size: body.Size()}, nil
}

// CopyPart makes part n of a range of another object, inside S3.
func (u *upload) CopyPart(ctx context.Context, n int, src string, v objstore.Version, r objstore.Range) error {
	if err := u.checkPart(n); err != nil {
		return err
	}
	if err := u.s.checkKey("part", src); err != nil {
		return err
	}
	if r.Len < 0 {
		o, err := u.s.head(ctx, "part", src, v)
		if err != nil {
			return err
		}
		r.Len = o.Size - r.Off
	}
	if r.Off < 0 || r.Len <= 0 {
		return &objstore.Error{Op: "part", Key: src, Kind: objstore.ErrRange}
	}
	in := &s3.UploadPartCopyInput{
		Bucket:          &u.s.cfg.Bucket,
		Key:             &u.key,
		UploadId:        &u.id,
		PartNumber:      aws.Int32(int32(n)),
		CopySource:      u.s.copySource(src),
		CopySourceRange: aws.String(fmt.Sprintf("bytes=%d-%d", r.Off, r.Off+r.Len-1)),
	}
	if v != "" {
		in.CopySourceIfMatch = aws.String(quote(v))
	}
	out, err := u.s.client.UploadPartCopy(ctx, in)
	if err == nil && (out.CopyPartResult == nil || out.CopyPartResult.ETag == nil) {
		err = errNoETag
	}
	if err != nil {
		return u.s.classify("part", src, err)
	}
	if v != "" && u.s.facts.Load().blindCopies {
		// What still is there was there before.
		if _, err := u.s.head(ctx, "part", src, v); err != nil {
			return err
		}
	}
	p := part{etag: out.CopyPartResult.ETag, size: r.Len}
	if u.declared {
		p.crc32c = out.CopyPartResult.ChecksumCRC32C
		if len(rawSum(p.crc32c)) != crc32.Size {
			return &objstore.Error{Op: "part", Key: src, Kind: objstore.ErrUnsupported,
				Err: fmt.Errorf("the store answers to the copy of a part with the checksum %q", aws.ToString(p.crc32c))}
		}
	}
	return u.add(n, p)
}

func (u *upload) checkPart(n int) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return wire.CheckPart(u.key, n, maxParts, u.over)
}

func (u *upload) add(n int, p part) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.over {
		return &objstore.Error{Op: "part", Key: u.key, Kind: objstore.ErrOther, Err: wire.ErrOver}
	}
	u.parts[n] = p
	return nil
}

// Commit leaves the upload open when it fails.
func (u *upload) Commit(ctx context.Context, last int) (objstore.Object, error) {
	var none objstore.Object
	parts, size, err := u.list(last)
	if err != nil {
		return none, &objstore.Error{Op: "commit", Key: u.key, Kind: objstore.ErrOther, Err: err}
	}
	h, err := u.s.conditions(ctx, "commit", u.key, u.opt.Cond, u.s.facts.Load().condCommit)
	if err != nil {
		return none, err
	}
	out, err := u.complete(ctx, parts, h)
	if err != nil {
		if u.opt.Cond.Version != "" && gone(err) {
			err = objstore.NewError("commit", u.key, objstore.ErrCond, err)
		}
		return none, u.s.classify("commit", u.key, err)
	}
	u.mu.Lock()
	u.over = true
	sum := u.sum
	u.mu.Unlock()
	u.ended()
	o := written(u.key, size, u.opt, version(out.ETag), out.ResultMetadata)
	o.Checksums = checksums(out.ChecksumCRC32C, nil, nil, out.ChecksumType)
	if u.s.facts.Load().otherETag {
		there, err := u.s.head(ctx, "commit", u.key, "")
		if err != nil {
			return none, err
		}
		o.Version, o.ModTime = there.Version, there.ModTime
	}
	if sum != nil && u.s.noteSHA256(ctx, u.key, o.Version, sum) {
		o.Metadata = maps.Clone(o.Metadata)
		o.Metadata[objstore.MetaSHA256] = hex.EncodeToString(sum)
	}
	return o, nil
}

// complete is one CompleteMultipartUpload. Its error is the SDK's.
func (u *upload) complete(ctx context.Context, parts []types.CompletedPart, h headers) (*s3.CompleteMultipartUploadOutput, error) {
	out, err := u.s.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket:          &u.s.cfg.Bucket,
		Key:             &u.key,
		UploadId:        &u.id,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
		IfMatch:         h.ifMatch,
		IfNoneMatch:     h.ifNoneMatch,
	})
	if f := newFailure(err); f.code == "InvalidPart" && len(parts) > 0 && strings.HasPrefix(aws.ToString(parts[0].ETag), `"`) {
		// Not every store finds the quotes that the SDK writes as "&#34;".
		bare := slices.Clone(parts)
		for i := range bare {
			bare[i].ETag = aws.String(string(version(bare[i].ETag)))
		}
		return u.complete(ctx, bare, h)
	}
	if err == nil && out.ETag == nil {
		err = errNoETag
	}
	return out, err
}

// list returns parts 1 to last and the bytes in them.
func (u *upload) list(last int) ([]types.CompletedPart, int64, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	run, err := wire.Run(u.parts, last, u.over)
	if err != nil {
		return nil, 0, err
	}
	var size int64
	parts := make([]types.CompletedPart, 0, last)
	for i, p := range run {
		size += p.size
		c := types.CompletedPart{PartNumber: aws.Int32(int32(i + 1)), ETag: p.etag}
		if u.declared {
			c.ChecksumCRC32C = p.crc32c
		}
		parts = append(parts, c)
	}
	return parts, size, nil
}

func (u *upload) Abort(ctx context.Context) error {
	u.mu.Lock()
	over := u.over
	u.mu.Unlock()
	if over {
		return nil
	}
	if err := u.s.abort(ctx, u.key, u.id); err != nil {
		return err
	}
	u.mu.Lock()
	u.over, u.parts = true, nil
	u.mu.Unlock()
	u.ended()
	return nil
}

// abortAfter aborts although ctx may be over.
func (u *upload) abortAfter(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	return u.Abort(ctx)
}
