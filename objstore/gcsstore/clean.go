package gcsstore

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pailfs/pailfs/internal/registry"
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
			s.leaves.Store(true)
			s.cfg.Log.Warn("temporary objects stay behind for now", "bucket", s.cfg.Bucket, "count", len(left),
				"key", left[0], "err", s.classify("delete", left[0], err))
		}
	})
}

// ownPrefix is a name that no other process has. The date is for people who find
// what a crash left. One directory for all: where directories are real, they
// would stay.
func ownPrefix(c Config) string {
	return c.Private + time.Now().UTC().Format("20060102T150405Z-") + rand.Text()
}

// own is a line of the registry: all that one process has begun.
type own struct {
	Store string // endpoint and bucket
	Names string // what those of its temporary objects begin with
}

func (s *Store) entry() string {
	b, err := json.Marshal(own{s.name(), s.own})
	if err != nil {
		return "" // not with these types
	}
	return string(b)
}

func (s *Store) name() string { return s.cfg.Endpoint + "/" + s.cfg.Bucket }

// register notes on the local disk which temporary objects are of this process.
func (s *Store) register() (err error) {
	if s.cfg.StateDir == "" {
		return nil
	}
	if s.registry, err = registry.Open(s.cfg.StateDir); err != nil {
		return err
	}
	return s.registry.Begin(s.entry())
}

// unregister forgets them, unless some could not be removed.
func (s *Store) unregister() error {
	var err error
	if !s.leaves.Load() {
		err = s.registry.End(s.entry())
	}
	return errors.Join(err, s.registry.Close())
}

var errKeep = errors.New("not to be removed now")

// AbortStale removes the temporary objects that processes of this machine left
// behind when they died, for keys below prefix. Without Config.StateDir it knows
// of none: those of other machines look the same, and may be in use.
func (s *Store) AbortStale(ctx context.Context, prefix string, olderThan time.Time) (int, error) {
	if s.cfg.StateDir == "" {
		return 0, nil
	}
	aborted := 0
	var failed error
	err := registry.Orphans(s.cfg.StateDir, func(entry string) error {
		var o own
		if err := json.Unmarshal([]byte(entry), &o); err != nil {
			return nil // cut short by a crash
		}
		if o.Store != s.name() || !strings.HasPrefix(o.Names, s.cfg.Private) || len(o.Names) < len(s.own) {
			return errKeep
		}
		n, all, err := s.abortOwn(ctx, o.Names, prefix, olderThan)
		aborted += n
		if err != nil {
			failed = err
		} else if !all {
			err = errKeep
		}
		return err
	})
	if failed == nil && errors.Is(err, errKeep) {
		return aborted, nil
	}
	if failed != nil {
		err = failed
	}
	return aborted, s.classify("abort", prefix, err)
}

// abortOwn removes the temporary objects whose names begin in a way. The names of
// one upload begin alike, and their metadata say its key; it is as old as the
// oldest of them. all says that none is left.
func (s *Store) abortOwn(ctx context.Context, names, prefix string, olderThan time.Time) (n int, all bool, err error) {
	type found struct {
		key   string
		began time.Time
		names []string
	}
	uploads := map[string]*found{}
	for token, more := "", true; more; more = token != "" {
		attrs, next, err := s.page(ctx, objstore.ListRequest{Prefix: names, Token: token})
		if err != nil {
			return 0, false, s.classify("abort", prefix, err)
		}
		for _, a := range attrs {
			id, _, ok := strings.Cut(strings.TrimPrefix(a.Name, names), ".")
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
	all = true
	var errs []error
	for _, u := range uploads {
		if !strings.HasPrefix(u.key, prefix) || !u.began.Before(olderThan) {
			all = false
			continue
		}
		if _, err := s.remove(ctx, u.names); err != nil {
			errs = append(errs, s.classify("abort", u.key, err))
			continue
		}
		n++
	}
	return n, all, errors.Join(errs...)
}
