package objstore

import (
	"context"
	"iter"
)

// ListPages runs through the pages of a listing, starting at req.Token. It ends
// after the first error.
func ListPages(ctx context.Context, s Store, req ListRequest) iter.Seq2[ListPage, error] {
	return func(yield func(ListPage, error) bool) {
		for {
			page, err := s.List(ctx, req)
			if err != nil {
				yield(ListPage{}, err)
				return
			}
			if !yield(page, nil) || page.Next == "" {
				return
			}
			req.Token = page.Next
		}
	}
}

// ListAll runs through the objects of a listing, page after page. Folded
// prefixes are left out: use ListPages where Delim is set.
func ListAll(ctx context.Context, s Store, req ListRequest) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		for page, err := range ListPages(ctx, s, req) {
			if err != nil {
				yield(Object{}, err)
				return
			}
			for _, o := range page.Objects {
				if !yield(o, nil) {
					return
				}
			}
		}
	}
}
