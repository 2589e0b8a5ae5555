package draft

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/pailfs/pailfs/objstore"
)

// window is how much of a source is read ahead while a part is put together
// without holding all of it.
const window = 1 << 20

// ReadAt reads the present content, as io.ReaderAt does. It goes on while a
// commit runs.
func (d *Draft) ReadAt(ctx context.Context, b []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read at %d: negative offset", off)
	}
	for {
		n, mapped, far, err := d.readNear(b, off)
		if err != nil {
			return n, err
		}
		for _, s := range far {
			if err = d.fetch(ctx, s.src, b[s.off-off:s.end-off], s.at); err != nil {
				break
			}
		}
		switch {
		case (errors.Is(err, objstore.ErrCond) || errors.Is(err, objstore.ErrNotFound)) && d.remapped(ctx, mapped):
			continue // a commit moved the bytes meanwhile
		case err != nil:
			return 0, err
		case n < len(b):
			return n, io.EOF
		}
		return n, nil
	}
}

// ReadNear fills b from off on if all of that is at hand, without a request.
func (d *Draft) ReadNear(b []byte, off int64) bool {
	n, _, far, err := d.readNear(b, off)
	return err == nil && n == len(b) && len(far) == 0
}

// readNear fills b with what is at hand and says which bytes are elsewhere.
func (d *Draft) readNear(b []byte, off int64) (n int, mapped int64, far []seg, err error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return 0, 0, nil, ErrDiscarded
	}
	if d.fatal != nil {
		return 0, 0, nil, d.fatal
	}
	if off >= d.size {
		return 0, 0, nil, io.EOF
	}
	n = int(min(int64(len(b)), d.size-off))
	for _, s := range d.segs(off, off+int64(n), &d.staged) {
		to := b[s.off-off : s.end-off]
		switch {
		case s.kind == staged:
			if _, err := d.file.ReadAt(to, s.off); err != nil {
				return 0, 0, nil, err
			}
		case s.kind == zeros:
			clear(to)
		case s.src.gone:
			return 0, 0, nil, goneError(ErrGone, s.off, s.end)
		case s.src.disk:
			if err := d.readDisk(s.src, to, s.at); err != nil {
				return 0, 0, nil, err
			}
		default:
			far = append(far, s)
		}
	}
	return n, d.mapped, far, nil
}

// remapped reports whether bytes are elsewhere since mapped was since. A commit under
// way may have replaced the object they were in, and not yet said so: wait for it.
func (d *Draft) remapped(ctx context.Context, since int64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.mapped == since && d.busy {
		if d.wait(ctx) != nil {
			return false
		}
	}
	return d.mapped != since
}

// object is where src is now.
func (d *Draft) object(src *source) objstore.Object {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return src.obj
}

func sameObject(a, b objstore.Object) bool { return a.Key == b.Key && a.Version == b.Version }

// fetch fills b from src. It tries again when the object was renamed meanwhile.
func (d *Draft) fetch(ctx context.Context, src *source, b []byte, at int64) error {
	if src.disk {
		return d.readDisk(src, b, at)
	}
	for {
		obj := d.object(src)
		err := d.p.get(ctx, src, obj, b, at)
		if err == nil || ctx.Err() != nil || sameObject(obj, d.object(src)) {
			return err
		}
	}
}

// get fills b from one version of an object.
func (p *Pool) get(ctx context.Context, src *source, obj objstore.Object, b []byte, at int64) error {
	from := p.opt.Base
	if src.private {
		from = p.store
	}
	r := objstore.Range{Off: at, Len: int64(len(b))}
	body, _, err := from.Get(ctx, obj.Key, r, objstore.Cond{Version: obj.Version})
	if err != nil {
		return err
	}
	_, err = io.ReadFull(body, b)
	if cerr := body.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return objstore.NewError("get", obj.Key, objstore.ErrTransient, err)
	}
	return nil
}

// content reads the bytes of a draft as segs found them. It is the body of a
// part that is not all at hand, and holds a window of it.
type content struct {
	ctx  context.Context // of the one call that reads it
	d    *Draft
	segs []seg

	mu  sync.Mutex
	buf []byte
	at  int64 // offset in the file of buf
}

func (c *content) ReadAt(b []byte, off int64) (int, error) {
	n := 0
	for _, s := range c.segs {
		lo, hi := max(s.off, off), min(s.end, off+int64(len(b)))
		if lo >= hi {
			continue
		}
		if err := c.read(s, b[lo-off:hi-off], lo); err != nil {
			return n, err
		}
		n += int(hi - lo)
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (c *content) read(s seg, b []byte, off int64) error {
	switch {
	case s.kind == staged:
		_, err := c.d.file.ReadAt(b, off)
		return err
	case s.kind == zeros:
		clear(b)
		return nil
	case len(b) >= window || s.src.disk:
		return c.d.fetch(c.ctx, s.src, b, s.at+off-s.off)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(b) > 0 {
		if off < c.at || off >= c.at+int64(len(c.buf)) {
			size := min(window, s.end-off)
			if int64(cap(c.buf)) < size {
				c.buf = make([]byte, size)
			}
			c.buf, c.at = c.buf[:size], off
			if err := c.d.fetch(c.ctx, s.src, c.buf, s.at+off-s.off); err != nil {
				c.buf = c.buf[:0]
				return err
			}
		}
		n := copy(b, c.buf[off-c.at:])
		b, off = b[n:], off+int64(n)
	}
	return nil
}
