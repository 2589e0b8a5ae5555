package draft

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/pailfs/pailfs/objstore"
)

// body is the bytes of one part, as they were found.
type body struct {
	off, end int64
	segs     []seg
	whole    *seg  // all of it is this range of one object
	near     bool  // all of it is staged, or zeros
	lost     error // part of it is only in an upload
}

// body finds the bytes of [off, end). The caller holds mu, and keeps them from
// being dropped while the body is used.
func (d *Draft) body(off, end int64) body {
	b := body{off: off, end: end, segs: d.segs(off, end, &d.staged), near: true}
	for _, s := range b.segs {
		b.near = b.near && s.kind != remote
		if s.gone() && b.lost == nil {
			b.lost = goneError(ErrRewriteGone, s.off, s.end)
		}
	}
	if segs := d.segs(off, end, &d.dirty); len(segs) == 1 && segs[0].kind == remote && !segs[0].src.disk && !segs[0].src.gone {
		b.whole = &segs[0]
	}
	return b
}

// reader makes the body readable. done must be called behind the last read.
func (d *Draft) reader(ctx context.Context, b body) (r *io.SectionReader, done func(), err error) {
	done = func() {}
	size := b.end - b.off
	switch {
	case b.lost != nil:
		return nil, done, b.lost
	case b.near:
		return io.NewSectionReader(&d.file, b.off, size), done, nil
	}
	far := &content{ctx: ctx, d: d, segs: b.segs}
	if size > 2*d.p.ladder.first {
		return io.NewSectionReader(far, b.off, size), done, nil
	}
	// A driver may read a body twice: fetch it once.
	if err := d.p.assembly.Acquire(ctx, size); err != nil {
		return nil, done, err
	}
	done = func() { d.p.assembly.Release(size) }
	buf := make([]byte, size)
	if _, err := far.ReadAt(buf, b.off); err != nil {
		done()
		return nil, func() {}, fmt.Errorf("read bytes %d to %d: %w", b.off, b.end, err)
	}
	return io.NewSectionReader(bytes.NewReader(buf), 0, size), done, nil
}

// transfer sends the body as part n, by a copy inside the provider if it can.
func (d *Draft) transfer(ctx context.Context, up objstore.Upload, n int, b body) error {
	size := b.end - b.off
	if c, ok := up.(objstore.PartCopier); ok && b.whole != nil && size >= d.p.caps.MinPart && size <= d.p.caps.MaxPart {
		for {
			obj := d.object(b.whole.src)
			err := c.CopyPart(ctx, n, obj.Key, obj.Version, objstore.Range{Off: b.whole.at, Len: size})
			switch {
			case errors.Is(err, objstore.ErrUnsupported): // then send the bytes
			case err != nil && ctx.Err() == nil && !sameObject(obj, d.object(b.whole.src)):
				continue // renamed meanwhile
			default:
				return err
			}
			break
		}
	}
	r, done, err := d.reader(ctx, b)
	if err != nil {
		return err
	}
	defer done()
	return up.PutPart(ctx, n, r)
}
