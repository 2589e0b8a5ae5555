package main

import (
	"context"
	"time"

	"github.com/pailfs/pailfs/mountopts"
	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/open"
)

// limits are those of the options; nil for none.
func limits(o *mountopts.Options) *open.Limits {
	if o.UploadLimit == nil && o.DownloadLimit == nil && o.RequestLimit == 0 {
		return nil
	}
	l := &open.Limits{Requests: float64(o.RequestLimit)}
	if o.UploadLimit != nil {
		l.Up = o.UploadLimit.At
	}
	if o.DownloadLimit != nil {
		l.Down = o.DownloadLimit.At
	}
	return l
}

// smaller is a store that holds smaller objects than it could.
type smaller struct {
	objstore.Store
	max int64
}

// withMaxSize keeps objects from being made that are larger.
func withMaxSize(s objstore.Store, most int64) objstore.Store {
	if most <= 0 {
		return s
	}
	return objstore.LikeStore(&smaller{s, most}, s)
}

func (s *smaller) Caps() objstore.Caps {
	c := s.Store.Caps()
	c.MaxObject = min(c.MaxObject, s.max)
	c.MaxPut = min(c.MaxPut, c.MaxObject)
	return c
}

func (s *smaller) Rename(ctx context.Context, dst, src string, opt objstore.CopyOptions) (objstore.Object, error) {
	return s.Store.(objstore.Renamer).Rename(ctx, dst, src, opt)
}

func (s *smaller) AbortStale(ctx context.Context, prefix string, olderThan time.Time) (int, error) {
	return s.Store.(objstore.Cleaner).AbortStale(ctx, prefix, olderThan)
}
