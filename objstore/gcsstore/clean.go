package gcsstore

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pailfs/pailfs/objstore"
)

const (
	removing   = 16               // deletes side by side
	removeTime = 60 * time.Second // for all temporary objects of an upload that is over
)

// remove deletes temporary objects, and returns those that may still be there.
func (s *Store) remove(ctx context.Context, names []string) ([]string, error) {
	var (
		mu   sync.Mutex
		left []string
		errs []error
		g    errgroup.Group
	)
	g.SetLimit(removing)
	for _, name := range names {
		g.Go(func() error {
			err := s.object(name, new(tries)).Delete(ctx)
			if err == nil || gone(err) {
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			left = append(left, name)
			if len(errs) == 0 { // one of many tells as much
				errs = append(errs, err)
			}
			return nil
		})
	}
	_ = g.Wait() // the errors are in errs
	return left, errors.Join(errs...)
}

// removeLater removes temporary objects while the caller goes on. Close waits;
// what is left by then AbortStale finds.
func (s *Store) removeLater(names []string) {
	if len(names) == 0 {
		return
	}
	s.removing.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), removeTime)
		defer cancel()
		if left, err := s.remove(ctx, names); err != nil {
			s.cfg.Log.Warn("temporary objects stay behind for now", "bucket", s.cfg.Bucket, "count", len(left),
				"key", left[0], "err", s.classify("delete", left[0], err))
		}
	})
}

// AbortStale finds the temporary objects of uploads to keys below prefix. The
// names of one upload begin alike, and their metadata say its key; it is as old
// as the oldest of them.
func (s *Store) AbortStale(ctx context.Context, prefix string, olderThan time.Time) (int, error) {
	type found struct {
		key   string
		began time.Time
		names []string
	}
	uploads := map[string]*found{}
	for token, more := "", true; more; more = token != "" {
		attrs, next, err := s.page(ctx, objstore.ListRequest{Prefix: s.cfg.Private, Token: token})
		if err != nil {
			return 0, s.classify("abort", prefix, err)
		}
		for _, a := range attrs {
			id, _, ok := strings.Cut(strings.TrimPrefix(a.Name, s.cfg.Private), ".")
			key := decodeMetadata(a.Metadata)[keyName]
			if !ok || key == "" { // not ours
				continue
			}
			u := uploads[id]
			if u == nil {
				u = &found{key: key, began: a.Created}
				uploads[id] = u
			}
			if a.Created.Before(u.began) {
				u.began = a.Created
			}
			u.names = append(u.names, a.Name)
		}
		token = next
	}
	n := 0
	var errs []error
	for _, u := range uploads {
		if !strings.HasPrefix(u.key, prefix) || !u.began.Before(olderThan) {
			continue
		}
		if _, err := s.remove(ctx, u.names); err != nil {
			errs = append(errs, s.classify("abort", u.key, err))
			continue
		}
		n++
	}
	return n, errors.Join(errs...)
}
