package objstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// copyRange is how much one CopyPart of CopyObject takes, in bytes, unless the
// object has too many of them: large enough to be few, small enough to run side
// by side.
const copyRange = 1 << 30

// CopyObject copies src, of any size, to dst inside the provider. Where the
// store does not honour conditions on copies, the destination is looked at just
// before.
func CopyObject(ctx context.Context, s Store, dst string, src Object, opt CopyOptions) (Object, error) {
	caps := s.Caps()
	if !opt.Dst.IsZero() && !caps.CondCopy {
		if err := check(ctx, s, dst, opt.Dst); err != nil {
			return Object{}, err
		}
		opt.Dst = Cond{}
	}
	if src.Size <= caps.MaxCopy {
		return s.Copy(ctx, dst, src.Key, opt)
	}
	return copyParts(ctx, s, dst, src, opt)
}

func check(ctx context.Context, s Store, key string, cond Cond) error {
	obj, err := s.Stat(ctx, key)
	switch {
	case errors.Is(err, ErrNotFound):
		if cond.Version != "" {
			return &Error{Op: "copy", Key: key, Kind: ErrCond, Err: err}
		}
		return nil
	case err != nil:
		return err
	case cond.Absent || obj.Version != cond.Version:
		return &Error{Op: "copy", Key: key, Kind: ErrCond, Err: fmt.Errorf("version %q is there", obj.Version)}
	}
	return nil
}

func copyParts(ctx context.Context, s Store, dst string, src Object, opt CopyOptions) (Object, error) {
	caps := s.Caps()
	if opt.Metadata == nil {
		o, err := s.Stat(ctx, src.Key)
		if err != nil {
			return Object{}, err
		}
		opt.Metadata = o.Metadata
	}
	if opt.Src == "" {
		opt.Src = src.Version
	}
	up, err := s.NewUpload(ctx, dst, PutOptions{
		Cond: opt.Dst, ContentType: src.ContentType, StorageClass: src.StorageClass, Metadata: opt.Metadata,
	})
	if err != nil {
		return Object{}, err
	}
	obj, err := copyInto(ctx, up, caps, dst, src, opt.Src)
	if err != nil {
		return Object{}, errors.Join(err, up.Abort(context.WithoutCancel(ctx)))
	}
	return obj, nil
}

func copyInto(ctx context.Context, up Upload, caps Caps, dst string, src Object, v Version) (Object, error) {
	pc, ok := up.(PartCopier)
	if !ok {
		return Object{}, &Error{Op: "copy", Key: dst, Kind: ErrUnsupported,
			Err: fmt.Errorf("%d bytes are more than the store copies at once", src.Size)}
	}
	size := min(max(copyRange, (src.Size+int64(caps.MaxParts)-1)/int64(caps.MaxParts)), caps.MaxPart)
	n := int((src.Size + size - 1) / size)

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	slots := make(chan struct{}, 8)
	for i := range n {
		slots <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		wg.Go(func() {
			defer func() { <-slots }()
			off := int64(i) * size
			if err := pc.CopyPart(ctx, i+1, src.Key, v, Range{off, min(size, src.Size-off)}); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return Object{}, context.Cause(ctx)
	}
	return up.Commit(ctx, n)
}
