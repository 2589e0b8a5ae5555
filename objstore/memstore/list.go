package memstore

import (
	"context"
	"slices"
	"strings"

	"github.com/pailfs/pailfs/objstore"
)

// maxPage is the most entries of one page, as with S3.
const maxPage = 1000

// List reads one page. A token is the last entry of the page before.
func (s *Store) List(ctx context.Context, req objstore.ListRequest) (objstore.ListPage, error) {
	if err := ctx.Err(); err != nil {
		return objstore.ListPage{}, objstore.NewError("list", req.Prefix, objstore.ErrTransient, err)
	}
	if req.Delim != "" && req.Delim != "/" {
		return objstore.ListPage{}, fail("list", req.Prefix, objstore.ErrUnsupported, "delimiter %q", req.Delim)
	}
	most := req.Max
	if most <= 0 || most > maxPage {
		most = maxPage
	}
	s.mu.Lock()
	defer s.mu.Unlock()

	var page objstore.ListPage
	last := req.Token
	for i := s.after(req, last); i < len(s.keys) && strings.HasPrefix(s.keys[i], req.Prefix); {
		if len(page.Objects)+len(page.Prefixes) == most {
			page.Next = last
			break
		}
		key := s.keys[i]
		if dir, folded := fold(key, req); folded {
			page.Prefixes = append(page.Prefixes, dir)
			last = dir
			i = s.after(req, dir)
			continue
		}
		o := s.objects[key].public()
		if !s.caps.ListMetadata {
			o.Metadata, o.MetadataKnown = nil, false
		}
		page.Objects = append(page.Objects, o)
		last = key
		i++
	}
	return page, nil
}

// after is the index of the first key of the listing behind the entry last. A
// folded prefix is behind all that it folds.
func (s *Store) after(req objstore.ListRequest, last string) int {
	if last < req.Prefix || last == "" {
		i, _ := slices.BinarySearch(s.keys, req.Prefix)
		return i
	}
	i, found := slices.BinarySearch(s.keys, last)
	if dir, folded := fold(last, req); folded && dir == last {
		for i < len(s.keys) && strings.HasPrefix(s.keys[i], last) {
			i++
		}
		return i
	}
	if found {
		i++
	}
	return i
}

// fold gives the prefix that stands for key in a listing with a delimiter.
func fold(key string, req objstore.ListRequest) (string, bool) {
	if req.Delim == "" || !strings.HasPrefix(key, req.Prefix) {
		return "", false
	}
	i := strings.Index(key[len(req.Prefix):], req.Delim)
	if i < 0 {
		return "", false
	}
	return key[:len(req.Prefix)+i+len(req.Delim)], true
}
