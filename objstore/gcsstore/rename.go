package gcsstore

import (
	"context"
	"fmt"
	"strings"

	"cloud.google.com/go/storage"

	"github.com/pailfs/pailfs/objstore"
)

// hierarchical says whether the bucket's directories are real. There an object
// moves in one step; in any other bucket it must be copied and deleted.
func (s *Store) hierarchical(ctx context.Context) bool {
	call := s.raw.Buckets.GetStorageLayout(s.cfg.Bucket).Prefix(strings.TrimSuffix(s.cfg.Private, DefaultPrivate))
	if s.cfg.UserProject != "" {
		call.Header().Set("X-Goog-User-Project", s.cfg.UserProject)
	}
	layout, err := call.Context(ctx).Do()
	if err != nil {
		s.cfg.Log.Debug("the layout of the bucket is not known", "bucket", s.cfg.Bucket, "err", s.classify("layout", "", err))
		return false
	}
	return layout.HierarchicalNamespace != nil && layout.HierarchicalNamespace.Enabled
}

// renamer is the store of a bucket with a hierarchical namespace.
type renamer struct{ *Store }

func (s *Store) renaming() *renamer { return &renamer{s} }

func (s *renamer) Caps() objstore.Caps {
	c := s.Store.Caps()
	c.AtomicRename = true
	return c
}

// Rename moves the object and leaves its bytes where they are. Metadata is
// changed before: should the move then fail, the object is still what it was.
func (s *renamer) Rename(ctx context.Context, dst, src string, opt objstore.CopyOptions) (objstore.Object, error) {
	var none objstore.Object
	for _, key := range []string{dst, src} {
		if err := checkKey("rename", key); err != nil {
			return none, err
		}
	}
	from, err := s.attrs(ctx, src)
	if err == nil && opt.Src != "" && version(from.Generation) != opt.Src {
		err = objstore.NewError("rename", src, objstore.ErrCond, fmt.Errorf("version %d is there", from.Generation))
	}
	if err != nil {
		return none, s.classify("rename", src, err)
	}
	if opt.Metadata != nil {
		if err := s.look(ctx, "rename", dst, opt.Dst); !opt.Dst.IsZero() && err != nil {
			return none, err
		}
		if _, err := s.rewriteMetadata(ctx, src, objstore.CopyOptions{Src: version(from.Generation), Metadata: opt.Metadata}); err != nil {
			return none, err
		}
		from.Metadata = encodeMetadata(opt.Metadata)
	}
	t := new(tries)
	a, err := s.object(src, t).If(storage.Conditions{GenerationMatch: from.Generation}).
		Move(ctx, storage.MoveObjectDestination{Object: dst, Conditions: conditions(opt.Dst)})
	if err != nil {
		from.Name = dst
		a, err = s.settle(ctx, t, from, err)
	}
	if err != nil {
		return none, s.classify("rename", src, err)
	}
	return object(a), nil
}
