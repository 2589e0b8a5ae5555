package azstore

import (
	"context"
	"crypto/md5"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/pailfs/pailfs/objstore"
)

// maxPage is what the service returns at most (List Blobs in the REST
// reference). A page may hold less, or nothing, and still have a next one.
const maxPage = 5000

// List carries all that Stat does. Uncommitted blocks are not shown. A page of
// the service that is empty, and not the last, is left out: what comes first of
// a listing is in its first page.
func (s *Store) List(ctx context.Context, req objstore.ListRequest) (objstore.ListPage, error) {
	for {
		page, err := s.page(ctx, req)
		if err != nil {
			return objstore.ListPage{}, s.classify("list", req.Prefix, err)
		}
		if page.Next == "" || len(page.Objects)+len(page.Prefixes) > 0 {
			return page, nil
		}
		req.Token = page.Next
	}
}

// page is one List Blobs. Its error is the SDK's.
func (s *Store) page(ctx context.Context, req objstore.ListRequest) (page objstore.ListPage, err error) {
	var (
		most  = to.Ptr(int32(maxPage))
		token *string
		with  = container.ListBlobsInclude{Metadata: true}
	)
	if req.Max > 0 {
		most = to.Ptr(int32(min(req.Max, maxPage)))
	}
	if req.Token != "" {
		token = &req.Token
	}
	if req.Delim == "" {
		resp, err := s.client.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{
			Include: with, Prefix: &req.Prefix, MaxResults: most, Marker: token}).NextPage(ctx)
		if err == nil && resp.Segment != nil {
			page.Objects = listed(resp.Segment.BlobItems)
		}
		page.Next = value(resp.NextMarker)
		return page, err
	}
	resp, err := s.client.NewListBlobsHierarchyPager(req.Delim, &container.ListBlobsHierarchyOptions{
		Include: with, Prefix: &req.Prefix, MaxResults: most, Marker: token}).NextPage(ctx)
	if err == nil && resp.Segment != nil {
		page.Objects = listed(resp.Segment.BlobItems)
		for _, p := range resp.Segment.BlobPrefixes {
			page.Prefixes = append(page.Prefixes, value(p.Name))
		}
	}
	page.Next = value(resp.NextMarker)
	return page, err
}

func listed(items []*container.BlobItem) []objstore.Object {
	var out []objstore.Object
	for _, item := range items {
		p := item.Properties
		if p == nil {
			continue
		}
		o := objstore.Object{
			Key:           value(item.Name),
			Size:          value(p.ContentLength),
			ModTime:       value(p.LastModified),
			Version:       version(p.ETag),
			ContentType:   value(p.ContentType),
			StorageClass:  string(value(p.AccessTier)),
			Metadata:      decodeMetadata(item.Metadata),
			MetadataKnown: true,
		}
		if len(p.ContentMD5) == md5.Size {
			o.Checksums.MD5 = p.ContentMD5
		}
		out = append(out, o)
	}
	return out
}
