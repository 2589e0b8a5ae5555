package gcsstore

import (
	"context"
	"strings"

	"cloud.google.com/go/storage"
	"google.golang.org/api/iterator"

	"github.com/pailfs/pailfs/objstore"
)

// maxPage is what the service returns at most (objects.list in its reference).
const maxPage = 1000

// List carries all that Stat does. Our temporary objects are left out, so that
// a page may be shorter than others; one that is empty, and not the last, is left
// out too: what comes first of a listing is in its first page.
func (s *Store) List(ctx context.Context, req objstore.ListRequest) (objstore.ListPage, error) {
	for {
		attrs, next, err := s.page(ctx, req)
		if err != nil {
			return objstore.ListPage{}, s.classify("list", req.Prefix, err)
		}
		page := objstore.ListPage{Next: next}
		for _, a := range attrs {
			switch {
			case strings.HasPrefix(a.Name, s.cfg.Private), strings.HasPrefix(a.Prefix, s.cfg.Private):
			case a.Prefix != "":
				page.Prefixes = append(page.Prefixes, a.Prefix)
			default:
				page.Objects = append(page.Objects, object(a))
			}
		}
		if next == "" || len(page.Objects)+len(page.Prefixes) > 0 {
			return page, nil
		}
		req.Token = next
	}
}

// page is one page as the service gives it. Its error is the SDK's.
func (s *Store) page(ctx context.Context, req objstore.ListRequest) ([]*storage.ObjectAttrs, string, error) {
	most := maxPage
	if req.Max > 0 {
		most = min(req.Max, maxPage)
	}
	objects := s.bucket().Retryer(s.retryer(new(tries))...).Objects(ctx, &storage.Query{
		Prefix: req.Prefix, Delimiter: req.Delim, Projection: storage.ProjectionNoACL,
	})
	var attrs []*storage.ObjectAttrs
	next, err := iterator.NewPager(objects, most, req.Token).NextPage(&attrs)
	return attrs, next, err
}
