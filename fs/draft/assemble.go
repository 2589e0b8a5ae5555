package draft

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/pailfs/pailfs/objstore"
)

// assemble makes an object of the present content, none of which is only in an
// upload: by one copy, one Put, or an upload that copies what is in the store
// already. The caller has entered.
func (d *Draft) assemble(ctx context.Context, key string, opt objstore.PutOptions) (objstore.Object, error) {
	d.mu.RLock()
	all := d.body(0, d.size)
	var runs []span
	for _, s := range d.segs(0, d.size, &d.dirty) {
		runs = append(runs, span{s.off, s.end, s.kind == remote && !s.src.disk})
	}
	d.mu.RUnlock()
	size := all.end
	if all.lost != nil {
		return objstore.Object{}, objstore.NewError("put", key, objstore.ErrUnsupported, all.lost)
	}
	bare := opt.Metadata
	opt.Metadata = withSum(bare, d.sumOf(ctx, all))
	if obj, ok, err := d.copyWhole(ctx, key, all, opt); ok {
		return obj, err
	}
	if size <= d.p.whole {
		opt.Metadata = bare
		return d.putWhole(ctx, key, all, opt)
	}
	up, err := d.p.store.NewUpload(ctx, key, opt)
	if err != nil {
		return objstore.Object{}, err
	}
	var plan []span
	if _, ok := up.(objstore.PartCopier); ok {
		plan = planPatch(runs, d.p.ladder, d.p.caps)
	}
	if plan == nil {
		plan = d.p.ladder.split(0, 0, size)
	}
	obj, err := d.upload(ctx, up, plan)
	if err != nil {
		d.p.abort(key, up)
	}
	return obj, err
}

// copyWhole copies inside the provider when the content is that of one object.
// It is not ok when the content must be sent.
func (d *Draft) copyWhole(ctx context.Context, key string, b body, opt objstore.PutOptions) (obj objstore.Object, ok bool, err error) {
	if b.whole == nil || b.whole.at != 0 {
		return obj, false, nil
	}
	src := d.object(b.whole.src)
	c := d.p.caps
	cond := opt.Cond
	if src.Key == key && cond.Version == src.Version && !c.CondCopy {
		cond = objstore.Cond{} // the condition on the source says the same
	}
	if src.Size != b.end || src.Size > c.MaxCopy || !cond.IsZero() && !c.CondCopy ||
		opt.ContentType != "" && src.ContentType != "" && opt.ContentType != src.ContentType {
		return obj, false, nil
	}
	obj, err = d.p.store.Copy(ctx, key, src.Key, objstore.CopyOptions{Src: src.Version, Dst: cond, Metadata: opt.Metadata})
	return obj, !errors.Is(err, objstore.ErrUnsupported), err
}

func (d *Draft) putWhole(ctx context.Context, key string, b body, opt objstore.PutOptions) (objstore.Object, error) {
	if err := d.p.parts.Acquire(ctx, 1); err != nil {
		return objstore.Object{}, err
	}
	defer d.p.parts.Release(1)
	r, done, err := d.reader(ctx, b)
	if err != nil {
		return objstore.Object{}, err
	}
	defer done()
	sum, err := sumBody(r)
	if err != nil {
		return objstore.Object{}, err
	}
	opt.Metadata = withSum(opt.Metadata, sum)
	return d.p.store.Put(ctx, key, r, opt)
}

// upload sends the parts of plan and commits.
func (d *Draft) upload(ctx context.Context, up objstore.Upload, plan []span) (objstore.Object, error) {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(d.p.opt.Parallel)
	if d.p.caps.OrderedParts {
		g.SetLimit(1)
	}
	for i, s := range plan {
		if gctx.Err() != nil {
			break
		}
		g.Go(func() error {
			if err := d.p.parts.Acquire(gctx, 1); err != nil {
				return err
			}
			defer d.p.parts.Release(1)
			d.mu.RLock()
			b := d.body(s.off, s.end)
			d.mu.RUnlock()
			if err := d.transfer(gctx, up, i+1, b); err != nil {
				return err
			}
			d.p.sent.Add(1)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return objstore.Object{}, err
	}
	if err := ctx.Err(); err != nil {
		return objstore.Object{}, err
	}
	return up.Commit(ctx, len(plan))
}

// scattered reports whether the content is in too many pieces.
func (d *Draft) scattered() bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return len(d.pieces.list) > d.p.maxPieces && d.stream == nil
}

// compact writes the content to one private object, so that the list of pieces
// starts anew.
func (d *Draft) compact(ctx context.Context) error {
	leave, err := d.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	d.mu.RLock()
	_, lost := d.lost(0, d.size)
	d.mu.RUnlock()
	if lost {
		return nil // an early upload began meanwhile: nothing is scattered any more
	}
	key := d.p.privateKey()
	obj, err := d.save(ctx, key, objstore.PutOptions{})
	if err != nil {
		d.p.remove(key) // it may be there all the same
		return fmt.Errorf("compact: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pieces.clear()
	d.setPiece(piece{0, d.size, &source{obj: obj, private: true}, 0})
	d.dirty.Clear()
	d.sweep()
	return nil
}
