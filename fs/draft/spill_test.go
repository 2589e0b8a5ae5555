package draft

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/faultstore"
	"github.com/pailfs/pailfs/objstore/memstore"
)

// meanwhile is a store in which something happens between a Put of a private
// object and its answer.
type meanwhile struct {
	objstore.Store
	do func()
}

func (s *meanwhile) Put(ctx context.Context, key string, body *io.SectionReader, opt objstore.PutOptions) (objstore.Object, error) {
	o, err := s.Store.Put(ctx, key, body, opt)
	if strings.HasPrefix(key, ".pailfs/") && s.do != nil {
		s.do()
		s.do = nil
	}
	return o, err
}

// spillNow moves all changed bytes of d to a private object, and drops them.
func (r *rig) spillNow(d *Draft) {
	r.Helper()
	if d.startSpill() == 0 {
		r.Fatal("nothing to spill")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.spilling != nil {
		r.must(d.wait(r.ctx))
	}
	d.dropClean(1 << 30)
}

// What is written or cut off while a spill is under way is not what the private
// object holds.
func TestChangedDuringSpill(t *testing.T) {
	r := tiny(t)
	defer r.end()
	b := text(1, 30*kib)
	d := r.pool.New()
	r.pool.store = &meanwhile{r.pool.store, func() {
		r.write(d, []byte("changed"), 10_000)
		r.must(d.Truncate(r.ctx, 20_000))
		r.must(d.Truncate(r.ctx, 25_000))
	}}
	r.write(d, b, 0)
	r.spillNow(d)
	copy(b[10_000:], "changed")
	clear(b[20_000:])
	b = b[:25_000]
	r.reads(d, b)
	r.spillNow(d)
	r.reads(d, b)
	if n := r.pool.Stats().Used; n != 0 {
		t.Errorf("%d bytes in use after a spill", n)
	}
	r.commit(d, Target{Key: "k"})
	r.holds("k", b)
}

// A part that is left to the upload while a spill of it is under way is gone: the
// spill may have read it too late.
func TestSentPartDroppedDuringSpill(t *testing.T) {
	r := newRig(t, memstore.Options{}, Options{Memory: 1 << 20, PartSize: 8 * kib})
	defer r.end()
	gate := faultstore.NewGate()
	r.faults.Add(faultstore.Rule{Op: faultstore.Put, Key: ".pailfs/*", Gate: gate})
	d := r.pool.New()
	d.Start(at("k"))
	b := text(1, 50*kib)
	r.write(d, b, 0)
	r.until("parts are sent", func() bool { return r.pool.Stats().Sent >= 5 })
	d.startSpill()
	r.must(gate.Await(r.ctx, 1))
	d.mu.Lock()
	d.dropSent(1 << 30)
	d.mu.Unlock()
	gate.Release()
	d.mu.Lock()
	for d.spilling != nil {
		r.must(d.wait(r.ctx))
	}
	d.mu.Unlock()
	_, err := d.ReadAt(r.ctx, make([]byte, 10), 20*kib)
	r.is(err, ErrGone)
	r.commit(d, Target{Key: "k"})
	r.holds("k", b)
}

// A commit reads what is cached, too: nobody takes that away from it.
func TestCacheStaysDuringCommit(t *testing.T) {
	r := tiny(t)
	defer r.end()
	b := text(1, 7*kib)
	d := r.pool.New()
	r.write(d, b, 0)
	o := r.commit(d, Target{Key: "k"})
	b[0]++
	r.write(d, b[:1], 0)
	gate := faultstore.NewGate()
	r.faults.Add(faultstore.Rule{Op: faultstore.Put, Key: "k", Gate: gate})
	done := make(chan error)
	go func() {
		_, err := d.Commit(r.ctx, Target{Key: "k", Cond: objstore.Cond{Version: o.Version}})
		done <- err
	}()
	r.must(gate.Await(r.ctx, 1))
	other := r.pool.New()
	r.write(other, text(2, 200*kib), 0)
	gate.Release()
	r.must(<-done)
	r.holds("k", b)
}
