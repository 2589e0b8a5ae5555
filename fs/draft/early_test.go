package draft

import (
	"bytes"
	"context"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/faultstore"
	"github.com/pailfs/pailfs/objstore/memstore"
)

// A file of up to one part, also an empty one, is one request.
func TestSmallFileIsOnePut(t *testing.T) {
	for _, size := range []int{0, 1, 10 * kib, 8 * kib} {
		r := newRig(t, memstore.Options{}, Options{PartSize: 10 * kib})
		d := r.pool.New()
		d.Start(at("k"))
		if !d.Dirty() {
			t.Fatal("a new draft is clean")
		}
		b := text(1, size)
		if size > 0 {
			r.write(d, b, 0)
		}
		o := r.commit(d, Target{Key: "k", Metadata: map[string]string{"mode": "1"}, Soft: map[string]string{"mtime": "2"}})
		r.holds("k", b)
		if n := len(r.faults.Calls()); n != 1 || r.faults.Count(faultstore.Put, "k") != 1 {
			t.Errorf("%d bytes took %v", size, r.faults.Calls())
		}
		if o.Metadata["mode"] != "1" || o.Metadata["mtime"] != "2" || len(o.Metadata[MetaID]) != 16 {
			t.Errorf("metadata %v", o.Metadata)
		}
		r.end()
	}
}

// A flush with nothing new costs no request; small changes of a small file are
// one Put each, and nothing is read back.
func TestFlushAgain(t *testing.T) {
	r := tiny(t)
	defer r.end()
	d := r.pool.New()
	b := text(1, 5*kib)
	r.write(d, b, 0)
	o := r.commit(d, Target{Key: "k"})
	r.faults.Reset()
	if again := r.commit(d, Target{Key: "k", Cond: objstore.Cond{Version: o.Version}}); again.Version != o.Version || len(r.faults.Calls()) != 0 {
		t.Fatalf("nothing new took %v", r.faults.Calls())
	}
	for i := range 3 {
		copy(b[i*100:], "changed")
		r.write(d, []byte("changed"), int64(i*100))
		o = r.commit(d, Target{Key: "k", Cond: objstore.Cond{Version: o.Version}})
		r.holds("k", b)
	}
	if n := len(r.faults.Calls()); n != 3 || r.faults.Count(faultstore.Put, "k") != 3 {
		t.Fatalf("three changes took %v", r.faults.Calls())
	}
}

// Parts are in the store before anybody commits.
func TestEarlyUpload(t *testing.T) {
	r := newRig(t, memstore.Options{}, Options{Memory: 1 << 20, PartSize: 8 * kib})
	defer r.end()
	d := r.pool.New()
	d.Start(func() Target { return Target{Key: "k", Soft: map[string]string{"mtime": "1"}} })
	b := text(1, 100*kib)
	for off := 0; off < len(b); off += kib {
		r.write(d, b[off:off+kib], int64(off))
	}
	// 100 KiB written, 4 KiB of slack: parts 1 to 12 of 8 KiB are complete.
	r.until("12 parts are sent", func() bool { return r.faults.Count(faultstore.Part, "k") == 12 })
	if !d.Streaming() {
		t.Fatal("not streaming")
	}
	if _, err := r.mem.Stat(r.ctx, "k"); err == nil {
		t.Fatal("half a file is visible")
	}
	r.commit(d, Target{Key: "k"})
	r.holds("k", b)
	r.reads(d, b)
	if n := r.sent(""); n != int64(len(b)) {
		t.Errorf("%d bytes were sent for %d", n, len(b))
	}
}

// pg_dump -Fc: in order, then the head again. The file is larger than the memory,
// and only the first part is sent twice.
func TestHeadRewrittenAtTheEnd(t *testing.T) {
	r := tiny(t)
	defer r.end()
	d := r.pool.New()
	d.Start(at("k"))
	b := text(1, 400*kib)
	for off := 0; off < len(b); off += 4 * kib {
		r.write(d, b[off:off+4*kib], int64(off))
	}
	copy(b[127:], text(2, 4000))
	r.write(d, b[127:4127], 127)
	r.commit(d, Target{Key: "k"})
	r.holds("k", b)
	if n := r.sent("k"); n != int64(len(b))+8*kib {
		t.Errorf("%d bytes were sent for %d", n, len(b))
	}
	if s := r.pool.Stats(); s.Spilled != 0 || s.Peak > s.Memory {
		t.Errorf("%+v", s)
	}
}

// The kernel writes back out of order, several writes at once. The SHA-256 waits
// for the holes.
func TestUnorderedWriters(t *testing.T) {
	r := newRig(t, memstore.Options{}, Options{Memory: 256 * kib, PartSize: 32 * kib, SHA256: true})
	defer r.end()
	d := r.pool.New()
	d.Start(at("k"))
	b := text(1, 2<<20)
	next := make(chan int)
	var wg, window sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for off := range next {
				if err := d.WriteAt(r.ctx, b[off:off+4*kib], int64(off)); err != nil {
					t.Error(err)
				}
				window.Done()
			}
		})
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for off := 0; off < len(b); off += 64 * kib {
		window.Add(16)
		for _, i := range rng.Perm(16) {
			next <- off + i*4*kib
		}
		window.Wait() // the kernel, too, has only so many in flight
	}
	close(next)
	wg.Wait()
	if n := r.faults.Count(faultstore.Part, "k"); n == 0 {
		t.Error("nothing was sent early")
	}
	r.commit(d, Target{Key: "k"})
	if !r.noted(b) {
		t.Error("no SHA-256")
	}
}

// An append to a large object moves the tail only, whether or not it is long
// enough to begin early.
func TestAppendMovesTheTail(t *testing.T) {
	for _, tail := range []int{100, 6 * kib, 40 * kib, 400 * kib} {
		r := tiny(t)
		base := text(1, 1<<20)
		o := r.put("k", base)
		d := r.pool.Edit(o)
		d.Start(func() Target { return Target{Key: "k", Cond: objstore.Cond{Version: o.Version}} })
		more := text(2, tail)
		for off := 0; off < tail; off += 2000 {
			r.write(d, more[off:min(off+2000, tail)], int64(len(base)+off))
		}
		early := r.faults.Count(faultstore.Part, "k")
		if tail == 400*kib && early == 0 {
			t.Error("a long append does not begin early")
		}
		o = r.commit(d, Target{Key: "k", Cond: objstore.Cond{Version: o.Version}})
		want := append(base, more...)
		r.holds("k", want)
		if n := r.sent(""); n > int64(tail) || r.faults.Count(faultstore.Get, "") > 0 {
			t.Errorf("append of %d sent %d bytes, read %d times", tail, n, r.faults.Count(faultstore.Get, ""))
		}
		// Again, on what is cached now.
		r.faults.Reset()
		r.write(d, more[:100], int64(len(want)))
		r.commit(d, Target{Key: "k", Cond: objstore.Cond{Version: o.Version}})
		r.holds("k", append(want, more[:100]...))
		if n := r.sent(""); n > 100 {
			t.Errorf("a second append of 100 bytes sent %d", n)
		}
		r.end()
	}
}

// A change in the middle moves about a part, and makes no request before the commit.
func TestEditInPlace(t *testing.T) {
	r := tiny(t)
	defer r.end()
	b := text(1, 1<<20)
	o := r.put("k", b)
	d := r.pool.Edit(o)
	d.Start(at("k"))
	copy(b[500_000:], "hello")
	r.write(d, []byte("hello"), 500_000)
	if n := len(r.faults.Calls()); n != 0 {
		t.Fatalf("a write made %v", r.faults.Calls())
	}
	r.reads(d, b)
	r.faults.Reset()
	r.commit(d, Target{Key: "k", Cond: objstore.Cond{Version: o.Version}})
	r.holds("k", b)
	if n := r.sent(""); n > 8*kib {
		t.Errorf("5 bytes moved %d", n)
	}
}

// What only changed its size is copied inside the store.
func TestTruncateIsACopy(t *testing.T) {
	r := tiny(t)
	defer r.end()
	b := text(1, 1<<20)
	o := r.put("k", b)
	d := r.pool.Edit(o)
	r.must(d.Truncate(r.ctx, 600_000))
	r.commit(d, Target{Key: "k", Cond: objstore.Cond{Version: o.Version}})
	r.holds("k", b[:600_000])
	if n := r.sent(""); n != 0 {
		t.Errorf("%d bytes were sent", n)
	}
}

// A draft without changes is committed elsewhere, or with other metadata, by one copy.
func TestUnchangedIsACopy(t *testing.T) {
	r := tiny(t)
	defer r.end()
	b := text(1, 100*kib)
	o := r.put("k", b)
	d := r.pool.Edit(o)
	to := Target{Key: "l", Metadata: map[string]string{"mode": "1"}, Cond: objstore.Cond{Absent: true}}
	o = r.commit(d, to)
	r.holds("l", b)
	if o.Metadata["mode"] != "1" || len(r.faults.Calls()) != 1 || r.faults.Count(faultstore.Copy, "l") != 1 {
		t.Fatalf("%v took %v", o, r.faults.Calls())
	}
	to.Metadata, to.Cond = map[string]string{"mode": "2"}, objstore.Cond{Version: o.Version}
	if o = r.commit(d, to); o.Metadata["mode"] != "2" || len(r.faults.Calls()) != 2 {
		t.Fatalf("%v took %v", o, r.faults.Calls())
	}
}

// O_TRUNC on an existing object: the old one stays, the new content goes early.
func TestTruncatedToNothing(t *testing.T) {
	r := newRig(t, memstore.Options{}, Options{Memory: 1 << 20, PartSize: 8 * kib})
	defer r.end()
	old := text(9, 100*kib)
	o := r.put("k", old)
	d := r.pool.Edit(o)
	d.Start(func() Target { return Target{Key: "k", Cond: objstore.Cond{Version: o.Version}} })
	r.must(d.Truncate(r.ctx, 0))
	b := text(1, 60*kib)
	r.write(d, b, 0)
	r.until("parts are sent", func() bool { return r.faults.Count(faultstore.Part, "k") > 0 })
	r.holds("k", old)
	// A second thought: all over again.
	r.must(d.Truncate(r.ctx, 0))
	r.write(d, b[:50*kib], 0)
	r.commit(d, Target{Key: "k", Cond: objstore.Cond{Version: o.Version}})
	r.holds("k", b[:50*kib])
}

// A part that is rewritten while it is in flight is sent again, and never twice
// at a time.
func TestStalePart(t *testing.T) {
	r := newRig(t, memstore.Options{}, Options{Memory: 1 << 20, PartSize: 8 * kib})
	defer r.end()
	gate := faultstore.NewGate()
	r.faults.Add(faultstore.Rule{Op: faultstore.Part, Part: 2, Gate: gate, Count: 1})
	d := r.pool.New()
	d.Start(at("k"))
	b := text(1, 60*kib)
	r.write(d, b, 0)
	r.must(gate.Await(r.ctx, 1))
	copy(b[9*kib:], "rewritten")
	r.write(d, []byte("rewritten"), 9*kib)
	done := make(chan error)
	go func() {
		_, err := d.Commit(r.ctx, Target{Key: "k"})
		done <- err
	}()
	// The commit waits for the flight of part 2 though it is of no use.
	r.until("all other parts are sent", func() bool { return r.faults.Count(faultstore.Part, "k") == 8 })
	gate.Release()
	r.must(<-done)
	r.holds("k", b)
	if n := r.faults.Count(faultstore.Part, "k"); n != 9 {
		t.Errorf("%d parts were sent", n)
	}
}

// Discard at any time leaves nothing, also with parts in flight.
func TestDiscardInFlight(t *testing.T) {
	for _, op := range []faultstore.Op{faultstore.Upload, faultstore.Part, faultstore.Put, faultstore.Commit} {
		r := tiny(t)
		gate := faultstore.NewGate()
		r.faults.Add(faultstore.Rule{Op: op, Gate: gate})
		d := r.pool.New()
		if op != faultstore.Put {
			d.Start(at("k"))
		}
		errs := make(chan error, 1)
		go func() {
			err := d.WriteAt(r.ctx, text(1, 200*kib), 0)
			if op == faultstore.Commit {
				_, err = d.Commit(r.ctx, Target{Key: "k"})
			}
			errs <- err
		}()
		r.must(gate.Await(r.ctx, 1))
		d.Discard()
		d.Discard()
		if op == faultstore.Commit {
			gate.Release() // a commit that was sent is not called back
			r.must(<-errs)
		} else {
			r.is(<-errs, ErrDiscarded)
		}
		if _, err := d.ReadAt(r.ctx, make([]byte, 1), 0); err != ErrDiscarded {
			t.Errorf("read: %v", err)
		}
		r.is(d.WriteAt(r.ctx, []byte("x"), 0), ErrDiscarded)
		r.is(d.Truncate(r.ctx, 7), ErrDiscarded)
		_, err := d.Commit(r.ctx, Target{Key: "k"})
		r.is(err, ErrDiscarded)
		r.end()
	}
}

func TestReadWhileCommitting(t *testing.T) {
	r := tiny(t)
	defer r.end()
	gate := faultstore.NewGate()
	r.faults.Add(faultstore.Rule{Op: faultstore.Put, Gate: gate})
	d := r.pool.New()
	b := text(1, 5*kib)
	r.write(d, b, 0)
	done := make(chan error)
	go func() {
		_, err := d.Commit(r.ctx, Target{Key: "k"})
		done <- err
	}()
	r.must(gate.Await(r.ctx, 1))
	r.reads(d, b)
	ctx, cancel := context.WithCancel(r.ctx)
	cancel()
	r.is(d.WriteAt(ctx, b, 0), context.Canceled) // it waits for the commit
	gate.Release()
	r.must(<-done)
}

func TestHoles(t *testing.T) {
	r := tiny(t)
	defer r.end()
	d := r.pool.New()
	d.Start(at("k"))
	r.write(d, []byte("data"), 100*kib)
	r.must(d.Truncate(r.ctx, 300*kib))
	for _, c := range []struct {
		off, want int64
		hole      bool
	}{{0, 0, true}, {0, 100 * kib, false}, {100 * kib, 100*kib + 4, true}, {100*kib + 1, 100*kib + 1, false}} {
		if got, err := d.Next(c.off, c.hole); got != c.want || err != nil {
			t.Errorf("next of %d (hole %v) is %d, %v", c.off, c.hole, got, err)
		}
	}
	if _, err := d.Next(100*kib+4, false); err == nil {
		t.Error("data behind the last byte")
	}
	want := make([]byte, 300*kib)
	copy(want[100*kib:], "data")
	r.commit(d, Target{Key: "k"})
	r.holds("k", want)
}

func TestTooBig(t *testing.T) {
	r := newRig(t, memstore.Options{Caps: func(c *objstore.Caps) { c.MaxObject = 50_000 }}, Options{PartSize: 8 * kib})
	defer r.end()
	d := r.pool.New()
	r.write(d, bytes.Repeat([]byte("x"), 50_000), 0)
	r.is(d.WriteAt(r.ctx, []byte("x"), 50_000), ErrTooBig)
	r.is(d.WriteAt(r.ctx, []byte("xy"), 49_999), ErrTooBig)
	r.is(d.Truncate(r.ctx, 50_001), ErrTooBig)
	r.commit(d, Target{Key: "k"})
	r.holds("k", bytes.Repeat([]byte("x"), 50_000))
}
