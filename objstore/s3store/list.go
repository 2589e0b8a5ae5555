package s3store

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/pailfs/pailfs/objstore"
)

// maxPage is what S3 returns at most (ListObjectsV2 in the API reference).
const maxPage = 1000

// List asks for keys in URL encoding: XML cannot hold every byte of a key.
func (s *Store) List(ctx context.Context, req objstore.ListRequest) (objstore.ListPage, error) {
	in := &s3.ListObjectsV2Input{Bucket: &s.cfg.Bucket, EncodingType: types.EncodingTypeUrl}
	if req.Prefix != "" {
		in.Prefix = &req.Prefix
	}
	if req.Delim != "" {
		in.Delimiter = &req.Delim
	}
	if req.Max > 0 {
		in.MaxKeys = aws.Int32(int32(min(req.Max, maxPage)))
	}
	last, token, ok := strings.Cut(req.Token, tokenMark)
	switch {
	case !ok:
		token = req.Token
	case token == "": // once more from the beginning, beyond the marker
		in.MaxKeys = aws.Int32(aws.ToInt32(in.MaxKeys) + 1)
	}
	if token != "" {
		in.ContinuationToken = &token
	}
	out, err := s.client.ListObjectsV2(ctx, in)
	if err != nil {
		return objstore.ListPage{}, s.classify("list", req.Prefix, err)
	}
	page, err := s.page(out)
	if err != nil {
		return objstore.ListPage{}, objstore.NewError("list", req.Prefix, objstore.ErrOther, err)
	}
	if !s.cfg.amazon() {
		tidy(&page, req, last)
	}
	return page, nil
}

// tokenMark parts what tidy must remember of a page from the store's own token.
const tokenMark = "\x00"

// tidy makes good what some stores get wrong. Last is what the page before ended
// with.
//
// MinIO ends a listing of "dir/" with its marker "dir/" if that fills the page.
// Gofakes3 and s3rver list keys beyond the delimiter, as objects, and prefixes
// again on later pages.
func tidy(page *objstore.ListPage, req objstore.ListRequest, last string) {
	if req.Delim != "" {
		page.Objects = slices.DeleteFunc(page.Objects, func(o objstore.Object) bool {
			rest := strings.TrimPrefix(o.Key, req.Prefix)
			i := strings.Index(rest, req.Delim)
			if i >= 0 {
				page.Prefixes = append(page.Prefixes, req.Prefix+rest[:i+len(req.Delim)])
			}
			return i >= 0
		})
		slices.Sort(page.Prefixes)
		page.Prefixes = slices.Compact(page.Prefixes)
	}
	if last != "" {
		page.Objects = slices.DeleteFunc(page.Objects, func(o objstore.Object) bool { return o.Key == last })
		page.Prefixes = slices.DeleteFunc(page.Prefixes, func(p string) bool { return p == last })
	}
	switch n := len(page.Prefixes); {
	case req.Max == 1 && len(page.Objects) == 1 && n == 0 && strings.HasSuffix(req.Prefix, "/") && page.Objects[0].Key == req.Prefix:
		page.Next = req.Prefix + tokenMark
	case page.Next == "":
	case n > 0:
		page.Next = page.Prefixes[n-1] + tokenMark + page.Next
	case last != "":
		page.Next = last + tokenMark + page.Next
	}
}

func (s *Store) page(out *s3.ListObjectsV2Output) (objstore.ListPage, error) {
	key := func(k *string) (string, error) {
		if out.EncodingType != types.EncodingTypeUrl {
			return aws.ToString(k), nil
		}
		return url.QueryUnescape(aws.ToString(k))
	}
	if out.EncodingType != types.EncodingTypeUrl {
		s.listsRaw.Store(true)
	}
	known := s.namesAlgorithm(out.Contents)
	page := objstore.ListPage{Objects: make([]objstore.Object, 0, len(out.Contents))}
	for _, o := range out.Contents {
		k, err := key(o.Key)
		if err != nil {
			return page, fmt.Errorf("key %q: %w", aws.ToString(o.Key), err)
		}
		page.Objects = append(page.Objects, objstore.Object{
			Key:           k,
			Size:          aws.ToInt64(o.Size),
			ModTime:       aws.ToTime(o.LastModified),
			Version:       version(o.ETag),
			StorageClass:  storageClass(string(o.StorageClass)),
			MetadataKnown: known && s.foreign(k, o),
		})
	}
	for _, p := range out.CommonPrefixes {
		k, err := key(p.Prefix)
		if err != nil {
			return page, fmt.Errorf("prefix %q: %w", aws.ToString(p.Prefix), err)
		}
		page.Prefixes = append(page.Prefixes, k)
	}
	if aws.ToBool(out.IsTruncated) {
		page.Next = aws.ToString(out.NextContinuationToken)
	}
	return page, nil
}

// namesAlgorithm says whether listings name the checksum algorithm of each
// object, as Amazon's do. Then an object without ours was not written by pailfs,
// and carries no metadata of it.
func (s *Store) namesAlgorithm(objects []types.Object) bool {
	if *s.algorithm.Load() != ChecksumCRC32C {
		return false
	}
	if s.listsAlgorithm.Load() {
		return true
	}
	for _, o := range objects {
		if slices.Contains(o.ChecksumAlgorithm, ours) {
			s.listsAlgorithm.Store(true)
			return true
		}
	}
	return false
}

// foreign says whether a listed object was written by others, for sure, at a
// store that names the algorithm of objects.
func (s *Store) foreign(key string, o types.Object) bool {
	switch {
	case slices.Contains(o.ChecksumAlgorithm, ours):
		return false
	case s.cfg.amazon():
		return true
	}
	// Stores that keep files give no checksum to markers of directories, and
	// where part copies have bad ones our uploads name no algorithm.
	return !strings.HasSuffix(key, "/") && !strings.Contains(string(version(o.ETag)), "-")
}
