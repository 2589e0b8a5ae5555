package draft

import (
	"context"
	"fmt"

	"github.com/pailfs/pailfs/objstore"
)

// SaveTo writes the present content to another object, and leaves the draft as
// it is. It fails with ErrUnsupported when bytes of it are only in an upload.
func (d *Draft) SaveTo(ctx context.Context, key string, opt objstore.PutOptions) (objstore.Object, error) {
	none := objstore.Object{}
	leave, err := d.enter(ctx)
	if err != nil {
		return none, err
	}
	defer leave()
	obj, err := d.save(ctx, key, opt)
	if err != nil {
		return none, fmt.Errorf("save as %q: %w", key, err)
	}
	return obj, nil
}

// save is SaveTo behind enter. It settles an unknown outcome.
func (d *Draft) save(ctx context.Context, key string, opt objstore.PutOptions) (objstore.Object, error) {
	d.mu.RLock()
	lost, found := d.lost(0, d.size)
	d.mu.RUnlock()
	if found {
		return objstore.Object{}, objstore.NewError("put", key, objstore.ErrUnsupported, goneError(ErrGone, lost.off, lost.end))
	}
	id := newID()
	opt.Metadata = Target{Metadata: opt.Metadata}.metadata(id)
	obj, err := d.assemble(ctx, key, opt)
	if err == nil || ctx.Err() != nil {
		return obj, err
	}
	call, cancel := d.p.cleanup(ctx)
	defer cancel()
	if there, serr := d.p.store.Stat(call, key); serr == nil && there.Metadata[MetaID] == id {
		return there, nil
	}
	return obj, err
}

// SaveWritten writes to another object only what was written since the last
// commit, one range behind the other: for a draft whose object is there no more,
// so that SaveTo fails with ErrCond or ErrNotFound. It returns the ranges of the
// file that the bytes belong to. It fails with ErrUnsupported as SaveTo does.
func (d *Draft) SaveWritten(ctx context.Context, key string, opt objstore.PutOptions) (objstore.Object, []objstore.Range, error) {
	none := objstore.Object{}
	leave, err := d.enter(ctx)
	if err != nil {
		return none, nil, err
	}
	defer leave()
	ranges, err := d.changes()
	if err != nil {
		return none, nil, fmt.Errorf("save as %q: %w", key, err)
	}
	to := d.p.New()
	defer to.Discard()
	at := int64(0)
	buf := make([]byte, window)
	for _, r := range ranges {
		for off, end := r.Off, r.Off+r.Len; off < end; {
			n, err := d.ReadAt(ctx, buf[:min(window, end-off)], off)
			if err == nil {
				err = to.WriteAt(ctx, buf[:n], at)
			}
			if err != nil {
				return none, nil, fmt.Errorf("save as %q: %w", key, err)
			}
			off, at = off+int64(n), at+int64(n)
		}
	}
	obj, err := to.SaveTo(ctx, key, opt)
	return obj, ranges, err
}

// changes are the ranges of bytes that are not those of the last commit.
func (d *Draft) changes() ([]objstore.Range, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	var list []objstore.Range
	for _, s := range d.segs(0, d.size, &d.dirty) {
		switch {
		case s.gone():
			return nil, objstore.NewError("save", "", objstore.ErrUnsupported, goneError(ErrGone, s.off, s.end))
		case s.kind == zeros || s.kind == remote && s.src == d.base:
			continue
		}
		if n := len(list); n > 0 && list[n-1].Off+list[n-1].Len == s.off {
			list[n-1].Len += s.end - s.off
			continue
		}
		list = append(list, objstore.Range{Off: s.off, Len: s.end - s.off})
	}
	return list, nil
}
