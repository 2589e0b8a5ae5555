package draft

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"maps"
	"sync"

	"github.com/pailfs/pailfs/objstore"
)

// maxMetadata is what the names and values of an object's metadata may take
// together, in bytes, at the provider that allows least (S3 User Guide, "Working
// with object metadata": 2 KB).
const maxMetadata = 2 << 10

// withSum is m with the sum, if there is one and it fits. m is not changed.
func withSum(m map[string]string, sum []byte) map[string]string {
	size := len(objstore.MetaSHA256) + hex.EncodedLen(sha256.Size)
	for k, v := range m {
		size += len(k) + len(v)
	}
	if sum == nil || size > maxMetadata {
		return m
	}
	m = maps.Clone(m)
	m[objstore.MetaSHA256] = hex.EncodeToString(sum)
	return m
}

// running is the SHA-256 of the first bytes of a file, as they are now.
type running struct {
	h    hash.Hash // nil before the first byte
	n    int64     // bytes that it has seen
	late bool      // such bytes were changed: what follows is left to the commit
}

// touch notes that the bytes from off on change.
func (r *running) touch(off int64) {
	if off < r.n {
		r.h.Reset()
		r.n, r.late = 0, true
	}
}

// sumStep is how much is summed under one hold of Draft.mu, in bytes: about a
// tenth of a millisecond.
const sumStep = 128 << 10

var sumBuffers = sync.Pool{New: func() any { b := make([]byte, sumStep); return &b }}

// sumEarly sums what is at hand up to end while the file is being written, before
// the memory of a part that is being sent is given back.
func (d *Draft) sumEarly(end int64) {
	if !d.p.opt.SHA256 {
		return
	}
	for more := true; more; {
		d.mu.Lock()
		more = !d.sum.late && d.step(end, true)
		d.mu.Unlock()
	}
}

// summed reports whether all bytes in front of end are summed, or cannot be any
// more. A hole may still be filled. The caller holds mu.
func (d *Draft) summed(end int64) bool {
	if !d.p.opt.SHA256 || d.sum.late {
		return true
	}
	for d.step(end, true) {
	}
	for p := range d.pieces.in(d.sum.n, end) {
		if p.off == d.sum.n && !d.staged.Covers(p.off, p.off+1) {
			return true
		}
	}
	return d.sum.n >= end
}

// step sums some bytes in front of end, and reports whether there are more that are
// at hand. A hole is none of them as long as the kernel may fill it. The caller holds mu.
func (d *Draft) step(end int64, early bool) bool {
	end = min(end, d.size)
	off := d.sum.n
	stop := min(end, off+sumStep)
	for _, s := range d.segs(off, stop, &d.staged) {
		if s.kind == remote || s.kind == zeros && early {
			stop = s.off
			break
		}
	}
	if off >= stop || d.closed || d.fatal != nil {
		return false
	}
	buf := sumBuffers.Get().(*[]byte)
	defer sumBuffers.Put(buf)
	b := (*buf)[:stop-off]
	if _, err := d.file.ReadAt(b, off); err != nil {
		return false // whoever needs these bytes will say so
	}
	if d.sum.h == nil {
		d.sum.h = sha256.New()
	}
	d.sum.h.Write(b)
	d.sum.n = stop
	return stop < end
}

// wholeSum is the SHA-256 of the present content where that takes no bytes but
// those in memory, else nil. The caller has entered.
func (d *Draft) wholeSum(ctx context.Context) []byte {
	if !d.p.opt.SHA256 {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.segs(d.sum.n, d.size, &d.staged) {
		if s.kind == remote {
			return nil
		}
	}
	for d.step(d.size, false) {
		d.mu.Unlock() // others may read meanwhile
		d.mu.Lock()
		if ctx.Err() != nil {
			return nil
		}
	}
	if d.sum.n != d.size || d.sum.h == nil {
		return nil
	}
	return d.sum.h.Sum(nil)
}

// sumOf is the SHA-256 of a body that is the present content: the one of the object
// that it is a copy of, or the one of what is in memory.
func (d *Draft) sumOf(ctx context.Context, b body) []byte {
	if w := b.whole; w != nil && w.at == 0 {
		if src := d.object(w.src); src.Size == b.end && src.NotedSHA256() != nil {
			return src.NotedSHA256()
		}
	}
	return d.wholeSum(ctx)
}

// sumBody reads all of r.
func sumBody(r *io.SectionReader) ([]byte, error) {
	buf := sumBuffers.Get().(*[]byte)
	defer sumBuffers.Put(buf)
	h := sha256.New()
	for off := int64(0); off < r.Size(); {
		n, err := r.ReadAt((*buf)[:min(sumStep, r.Size()-off)], off)
		h.Write((*buf)[:n])
		if off += int64(n); err != nil && off < r.Size() {
			return nil, err
		}
	}
	return h.Sum(nil), nil
}
