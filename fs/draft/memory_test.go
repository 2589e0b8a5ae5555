package draft

import (
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/faultstore"
	"github.com/pailfs/pailfs/objstore/memstore"
)

// fourParts is a pool whose memory holds four parts of the first size.
func fourParts(t tb) *rig {
	return newRig(t, memstore.Options{Caps: func(c *objstore.Caps) { c.MinPart = 8 * kib }},
		Options{Memory: 64 * kib, PartSize: 16 * kib, Parallel: 4})
}

// Sixteen writers with memory for four parts all come to an end.
func TestManyWritersLittleMemory(t *testing.T) {
	r := fourParts(t)
	defer r.end()
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			key := "k" + strconv.Itoa(i)
			b := text(uint64(i), 300*kib)
			d := r.pool.New()
			if i%4 != 3 { // one of four has no early upload
				d.Start(at(key))
			}
			for off := 0; off < len(b); off += 5000 {
				if err := d.WriteAt(r.ctx, b[off:min(off+5000, len(b))], int64(off)); err != nil {
					t.Error(err)
					return
				}
			}
			if _, err := d.Commit(r.ctx, Target{Key: key}); err != nil {
				t.Error(err)
				return
			}
			r.holds(key, b)
			if i%2 == 0 {
				d.Discard()
			}
		})
	}
	wg.Wait()
	if s := r.pool.Stats(); s.Peak > s.Memory {
		t.Errorf("%d bytes staged, at most %d allowed", s.Peak, s.Memory)
	}
}

// One thread that writes to sixteen files in turn: nobody else could free memory
// by closing a file.
func TestOneThreadManyFiles(t *testing.T) {
	r := fourParts(t)
	defer r.end()
	drafts, texts := make([]*Draft, 16), make([][]byte, 16)
	for i := range drafts {
		drafts[i], texts[i] = r.pool.New(), text(uint64(i), 200*kib)
		drafts[i].Start(at("k" + strconv.Itoa(i)))
	}
	for off := 0; off < 200*kib; off += 3000 {
		for i, d := range drafts {
			r.write(d, texts[i][off:min(off+3000, 200*kib)], int64(off))
		}
	}
	for i, d := range drafts {
		copy(texts[i][100:], "head")
		r.write(d, []byte("head"), 100)
	}
	for i, d := range drafts {
		key := "k" + strconv.Itoa(i)
		r.commit(d, Target{Key: key})
		r.holds(key, texts[i])
	}
}

// Random writes all over files larger than the memory, without a local disk.
func TestRandomWritesLittleMemory(t *testing.T) {
	for _, edit := range []bool{false, true} {
		r := tiny(t)
		r.pool.maxPieces = 40
		rng := rand.New(rand.NewPCG(3, 4))
		b := make([]byte, 500*kib)
		d := r.pool.New()
		if edit {
			b = text(5, len(b))
			d = r.pool.Edit(r.put("k", b))
		}
		d.Start(at("k"))
		for i := range 300 {
			off := rng.IntN(len(b) - 3000)
			if i == 0 {
				off = len(b) - 3000
			}
			w := text(uint64(i), 1+rng.IntN(3000))
			copy(b[off:], w)
			r.write(d, w, int64(off))
		}
		size := d.Size()
		r.reads(d, b[:size])
		r.commit(d, Target{Key: "k"})
		r.holds("k", b[:size])
		if s := r.pool.Stats(); s.Spilled == 0 || s.Peak > s.Memory {
			t.Errorf("%+v", s)
		}
		d.Discard()
		r.end()
	}
}

// Thousands of small files that are open at once need no descriptor each, and
// what memory does not hold goes to the store.
func TestManySmallFiles(t *testing.T) {
	r := newRig(t, memstore.Options{}, Options{Memory: 4 << 20})
	defer r.end()
	fds := func() int {
		d, err := os.ReadDir("/proc/self/fd")
		r.must(err)
		return len(d)
	}
	before, n := fds(), 2000
	drafts := make([]*Draft, n)
	for i := range drafts {
		drafts[i] = r.pool.New()
		drafts[i].Start(at(strconv.Itoa(i)))
		r.write(drafts[i], text(uint64(i), 10*kib), 0)
	}
	if more := fds() - before; more > 20 {
		t.Errorf("%d descriptors for %d files", more, n)
	}
	for i, d := range drafts {
		r.commit(d, Target{Key: strconv.Itoa(i)})
		r.holds(strconv.Itoa(i), text(uint64(i), 10*kib))
		d.Discard()
	}
}

// A part that is gone cannot be changed in the middle, but as a whole it can.
func TestRewriteOfGoneParts(t *testing.T) {
	r := tiny(t)
	defer r.end()
	d := r.pool.New()
	d.Start(at("k"))
	b := text(1, 500*kib)
	r.write(d, b[:400*kib], 0)
	r.until("all complete parts are sent", func() bool { return r.pool.Stats().Sent >= 49 })
	r.write(d, b[400*kib:], 400*kib)
	_, err := d.ReadAt(r.ctx, make([]byte, 10), 50*kib)
	r.is(err, ErrGone)
	_, err = d.SaveTo(r.ctx, "saved", objstore.PutOptions{})
	r.is(err, objstore.ErrUnsupported)
	r.is(err, ErrGone)

	copy(b[48*kib:56*kib], text(2, 8*kib))
	for off := 48 * kib; off < 56*kib; off += kib {
		r.write(d, b[off:off+kib], int64(off))
	}
	r.is(d.WriteAt(r.ctx, []byte("x"), 86*kib), ErrRewriteGone)
	r.is(d.Truncate(r.ctx, 85*kib), ErrRewriteGone)
	r.commit(d, Target{Key: "k"})
	r.holds("k", b)
}

// With a cache directory the same is no loss.
func TestKeepSent(t *testing.T) {
	r := newRig(t, memstore.Options{}, Options{Memory: 64 * kib, PartSize: 8 * kib, Dir: t.TempDir(), DirLimit: 1 << 20, KeepSent: true})
	defer r.end()
	d := r.pool.New()
	d.Start(at("k"))
	b := text(1, 400*kib)
	r.write(d, b, 0)
	r.reads(d, b)
	copy(b[86*kib:], "rewritten")
	r.write(d, []byte("rewritten"), 86*kib)
	r.commit(d, Target{Key: "k"})
	r.holds("k", b)
	if s := r.pool.Stats(); s.Spilled != 0 || s.DiskUsed != 0 {
		t.Errorf("%+v", s)
	}
}

// A file that shows that it changes what it wrote is not left to the upload.
func TestBackwardsWriterLosesNothing(t *testing.T) {
	r := tiny(t)
	defer r.end()
	d := r.pool.New()
	d.Start(at("k"))
	b := text(1, 400*kib)
	r.write(d, b[:40*kib], 0)
	copy(b[10*kib:], "back")
	r.write(d, []byte("back"), 10*kib)
	r.write(d, b[40*kib:], 40*kib)
	r.reads(d, b)
	copy(b[200*kib+5:], "and again")
	r.write(d, []byte("and again"), 200*kib+5)
	r.commit(d, Target{Key: "k"})
	r.holds("k", b)
}

// The caches of committed drafts make room before anything else does.
func TestCleanCacheGoesFirst(t *testing.T) {
	r := tiny(t)
	defer r.end()
	b := text(1, 7*kib)
	var clean []*Draft
	for i := range 6 {
		d := r.pool.New()
		r.write(d, b, 0)
		r.commit(d, Target{Key: strconv.Itoa(i)})
		clean = append(clean, d)
	}
	d := r.pool.New()
	r.write(d, text(2, 60*kib), 0)
	if n := r.faults.Count(faultstore.Put, ".pailfs/*"); n != 0 {
		t.Errorf("%d spills though there was a cache to drop", n)
	}
	for _, c := range clean {
		r.reads(c, b)
	}
}

// A store that is away makes writers fail, not wait for ever.
func TestStoreAway(t *testing.T) {
	r := tiny(t)
	defer r.end()
	r.faults.Add(faultstore.Rule{Err: objstore.ErrTransient})
	d := r.pool.New()
	d.Start(at("k"))
	r.is(d.WriteAt(r.ctx, text(1, 300*kib), 0), objstore.ErrTransient)
}
