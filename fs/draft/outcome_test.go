package draft

import (
	"context"
	"io"
	"slices"
	"testing"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/faultstore"
	"github.com/pailfs/pailfs/objstore/memstore"
)

// A request that happened although it was reported as failed is a success.
func TestUnknownOutcome(t *testing.T) {
	for _, kind := range []error{objstore.ErrTransient, objstore.ErrThrottled, objstore.ErrCond} {
		for _, size := range []int{5 * kib, 100 * kib} {
			for _, early := range []bool{true, false} {
				r := tiny(t)
				for _, op := range []faultstore.Op{faultstore.Put, faultstore.Commit} {
					r.faults.Add(faultstore.Rule{Op: op, Key: "k", Done: true, Err: kind})
				}
				d := r.pool.New()
				if early {
					d.Start(func() Target { return Target{Key: "k", Cond: objstore.Cond{Absent: true}} })
				}
				b := text(1, size)
				r.write(d, b, 0)
				r.commit(d, Target{Key: "k", Cond: objstore.Cond{Absent: true}})
				r.holds("k", b)
				if d.Dirty() || r.faults.Count(faultstore.Stat, "k") != 1 {
					t.Errorf("%v, %d bytes: dirty %v, %d Stats", kind, size, d.Dirty(), r.faults.Count(faultstore.Stat, "k"))
				}
				r.end()
			}
		}
	}
}

// One that did not happen is an error, and may be tried again.
func TestFailedCommit(t *testing.T) {
	for _, size := range []int{5 * kib, 50 * kib, 200 * kib} {
		r := tiny(t)
		for _, op := range []faultstore.Op{faultstore.Put, faultstore.Commit} {
			r.faults.Add(faultstore.Rule{Op: op, Key: "k", Err: objstore.ErrTransient, Count: 1})
		}
		d := r.pool.New()
		d.Start(at("k"))
		b := text(1, size)
		r.write(d, b, 0)
		_, err := d.Commit(r.ctx, Target{Key: "k"})
		r.is(err, objstore.ErrTransient)
		if !d.Dirty() {
			t.Error("clean after a failed commit")
		}
		b = append(b, "more"...)
		r.write(d, []byte("more"), int64(size))
		r.commit(d, Target{Key: "k"})
		r.holds("k", b)
		r.end()
	}
}

// Somebody else was first: the draft stays dirty, and its bytes can be saved.
func TestLostRace(t *testing.T) {
	for i, size := range []int{5 * kib, 50 * kib, 5 * kib, 50 * kib} {
		r := newRig(t, memstore.Options{Caps: func(c *objstore.Caps) { c.CondPut = i < 2 }},
			Options{Memory: 64 * kib, PartSize: 8 * kib})
		d := r.pool.New()
		d.Start(func() Target { return Target{Key: "k", Cond: objstore.Cond{Absent: true}} })
		b := text(1, size)
		r.write(d, b, 0)
		theirs := text(2, 100)
		r.put("k", theirs)
		_, err := d.Commit(r.ctx, Target{Key: "k", Cond: objstore.Cond{Absent: true}})
		r.is(err, objstore.ErrCond)
		r.holds("k", theirs)
		if !d.Dirty() {
			t.Error("clean after a lost race")
		}
		o, err := d.SaveTo(r.ctx, "k.conflict", objstore.PutOptions{Metadata: map[string]string{"a": "b"}})
		r.must(err)
		r.holds("k.conflict", b)
		if o.Metadata["a"] != "b" {
			t.Errorf("metadata %v", o.Metadata)
		}
		d.Discard()
		r.end()
	}
}

// The object that was edited is gone: what was written to it can be kept.
func TestLostRaceOfAnEdit(t *testing.T) {
	r := newRig(t, memstore.Options{}, Options{Memory: 1 << 20, PartSize: 8 * kib})
	defer r.end()
	base := text(1, 5000)
	d := r.pool.Edit(r.put("k", base))
	r.write(d, []byte("head"), 10)
	r.write(d, []byte("more"), 5000)
	r.write(d, []byte("over"), 5004)
	r.put("k", text(2, 100))
	_, err := d.Commit(r.ctx, Target{Key: "k"})
	r.is(err, objstore.ErrCond)
	_, err = d.SaveTo(r.ctx, "k.conflict", objstore.PutOptions{})
	r.is(err, objstore.ErrCond)
	_, ranges, err := d.SaveWritten(r.ctx, "k.conflict", objstore.PutOptions{})
	r.must(err)
	r.holds("k.conflict", []byte("headmoreover"))
	if want := []objstore.Range{{Off: 10, Len: 4}, {Off: 5000, Len: 8}}; !slices.Equal(ranges, want) {
		t.Errorf("ranges %v, want %v", ranges, want)
	}
	d.Discard()
}

// The object was changed legitimately since the upload began: it begins anew.
func TestCondChangedMeanwhile(t *testing.T) {
	r := newRig(t, memstore.Options{}, Options{Memory: 1 << 20, PartSize: 8 * kib})
	defer r.end()
	d := r.pool.New()
	d.Start(func() Target { return Target{Key: "k", Cond: objstore.Cond{Absent: true}} })
	b := text(1, 50*kib)
	r.write(d, b, 0)
	r.until("parts are sent", func() bool { return r.faults.Count(faultstore.Part, "k") > 3 })
	o := r.put("k", []byte("ours"))
	r.commit(d, Target{Key: "k", Cond: objstore.Cond{Version: o.Version}})
	r.holds("k", b)
}

// Metadata that come after the upload began are there after the commit.
func TestLateMetadata(t *testing.T) {
	for _, late := range []bool{true, false} {
		for _, most := range []int64{1 << 30, 20_000} {
			r := newRig(t, memstore.Options{NoLateMetadata: !late, Caps: func(c *objstore.Caps) { c.MaxCopy = most }},
				Options{Memory: 1 << 20, PartSize: 8 * kib})
			d := r.pool.New()
			d.Start(func() Target {
				return Target{Key: "k", Metadata: map[string]string{"mode": "1", "old": "x"}, Soft: map[string]string{"mtime": "1"}}
			})
			b := text(1, 50*kib)
			r.write(d, b, 0)
			r.until("the upload is under way", func() bool { return r.faults.Count(faultstore.Part, "k") > 3 })
			want := Target{Key: "k", Metadata: map[string]string{"mode": "2", "mtime": "7"}}
			o := r.commit(d, want)
			if !want.accepts(o.Metadata, nil) || d.Dirty() {
				t.Errorf("metadata are %v, want %v", o.Metadata, want.Metadata)
			}
			r.holds("k", b)
			if n := r.faults.Count(faultstore.Commit, "k") + r.faults.Count(faultstore.Copy, "k"); late && n != 1 || !late && n != 2 || r.sent("") != 50*kib {
				t.Errorf("took %d requests to publish, %d bytes", n, r.sent(""))
			}
			r.end()
		}
	}
}

// Soft metadata cost nothing: not those of an upload that has begun.
func TestSoftMetadataAreFree(t *testing.T) {
	r := newRig(t, memstore.Options{NoLateMetadata: true}, Options{Memory: 1 << 20, PartSize: 8 * kib})
	defer r.end()
	d := r.pool.New()
	d.Start(func() Target { return Target{Key: "k", Soft: map[string]string{"mtime": "1"}} })
	r.write(d, text(1, 50*kib), 0)
	r.until("the upload is under way", func() bool { return r.faults.Count(faultstore.Part, "k") > 3 })
	o := r.commit(d, Target{Key: "k", Soft: map[string]string{"mtime": "2"}})
	if o.Metadata["mtime"] != "1" || r.faults.Count(faultstore.Copy, "") != 0 {
		t.Errorf("metadata %v, calls %v", o.Metadata, r.faults.Calls())
	}
}

// The content is there, the metadata are not: the next commit sees to them.
func TestMetadataFailed(t *testing.T) {
	r := newRig(t, memstore.Options{NoLateMetadata: true}, Options{Memory: 1 << 20, PartSize: 8 * kib})
	defer r.end()
	d := r.pool.New()
	d.Start(func() Target { return Target{Key: "k", Cond: objstore.Cond{Absent: true}} })
	b := text(1, 50*kib)
	r.write(d, b, 0)
	r.until("the upload is under way", d.Streaming)
	r.faults.Add(faultstore.Rule{Op: faultstore.Copy, Err: objstore.ErrTransient, Count: 2})
	want := Target{Key: "k", Cond: objstore.Cond{Absent: true}, Metadata: map[string]string{"mode": "2"}}
	_, err := d.Commit(r.ctx, want)
	r.is(err, objstore.ErrTransient)
	if !d.Dirty() {
		t.Error("clean without its metadata")
	}
	if o := r.commit(d, want); o.Metadata["mode"] != "2" || d.Dirty() {
		t.Errorf("%v", o)
	}
	r.holds("k", b)
}

// A part that fails is told by the next write, and tried again by the commit.
func TestPartFails(t *testing.T) {
	r := newRig(t, memstore.Options{}, Options{Memory: 1 << 20, PartSize: 8 * kib})
	defer r.end()
	r.faults.Add(faultstore.Rule{Op: faultstore.Part, Part: 2, Err: objstore.ErrTransient, Count: 3})
	d := r.pool.New()
	d.Start(at("k"))
	b := text(1, 50*kib)
	r.write(d, b, 0)
	r.until("the failure is told", func() bool { return d.WriteAt(r.ctx, b[:1], 0) != nil })
	r.is(d.WriteAt(r.ctx, b[:1], 0), objstore.ErrTransient)
	for range 2 {
		_, err := d.Commit(r.ctx, Target{Key: "k"})
		r.is(err, objstore.ErrTransient)
		if !d.Dirty() {
			t.Error("clean after a failed part")
		}
	}
	r.commit(d, Target{Key: "k"})
	r.holds("k", b)
}

// So is an upload that cannot begin.
func TestUploadFails(t *testing.T) {
	r := newRig(t, memstore.Options{}, Options{Memory: 1 << 20, PartSize: 8 * kib})
	defer r.end()
	r.faults.Add(faultstore.Rule{Op: faultstore.Upload, Err: objstore.ErrPermission, Count: 1})
	d := r.pool.New()
	d.Start(at("k"))
	b := text(1, 50*kib)
	r.write(d, b, 0)
	r.until("the failure is told", func() bool { return d.WriteAt(r.ctx, b[:1], 0) != nil })
	r.is(d.WriteAt(r.ctx, b[:1], 0), objstore.ErrPermission)
	r.commit(d, Target{Key: "k"})
	r.holds("k", b)
}

// A commit whose context ends returns, and the next one goes on.
func TestCommitCancelled(t *testing.T) {
	for _, op := range []faultstore.Op{faultstore.Put, faultstore.Part, faultstore.Commit} {
		r := newRig(t, memstore.Options{}, Options{Memory: 1 << 20, PartSize: 8 * kib})
		gate := faultstore.NewGate()
		r.faults.Add(faultstore.Rule{Op: op, Gate: gate})
		d := r.pool.New()
		d.Start(at("k"))
		b := text(1, 50*kib)
		if op == faultstore.Put {
			b = b[:1000]
		}
		r.write(d, b, 0)
		ctx, cancel := context.WithCancel(r.ctx)
		done := make(chan error)
		go func() {
			_, err := d.Commit(ctx, Target{Key: "k"})
			done <- err
		}()
		r.must(gate.Await(r.ctx, 1))
		cancel()
		r.is(<-done, context.Canceled)
		gate.Release()
		r.commit(d, Target{Key: "k"})
		r.holds("k", b)
		r.end()
	}
}

// late is a store whose calls happen, but whose caller has left by then.
type late struct {
	objstore.Store
	leave func()
}

func (s *late) Put(ctx context.Context, key string, body *io.SectionReader, opt objstore.PutOptions) (objstore.Object, error) {
	o, err := s.Store.Put(ctx, key, body, opt)
	return o, s.left("put", key, err)
}

func (s *late) left(op, key string, err error) error {
	if err != nil || s.leave == nil {
		return err
	}
	s.leave()
	s.leave = nil
	return objstore.NewError(op, key, objstore.ErrTransient, context.Canceled)
}

func (s *late) NewUpload(ctx context.Context, key string, opt objstore.PutOptions) (objstore.Upload, error) {
	u, err := s.Store.NewUpload(ctx, key, opt)
	return &lateUpload{u, s, key}, err
}

type lateUpload struct {
	objstore.Upload
	s   *late
	key string
}

func (u *lateUpload) Commit(ctx context.Context, last int) (objstore.Object, error) {
	o, err := u.Upload.Commit(ctx, last)
	return o, u.s.left("commit", u.key, err)
}

// A commit that happened after its caller had left is found by the next one,
// also when more was written meanwhile, and when its parts are gone.
func TestCommittedUnseen(t *testing.T) {
	for _, size := range []int{5 * kib, 50 * kib, 400 * kib} {
		for _, more := range []bool{false, true} {
			r := tiny(t)
			s := &late{Store: r.pool.store}
			r.pool.store = s
			d := r.pool.New()
			d.Start(func() Target { return Target{Key: "k", Cond: objstore.Cond{Absent: true}} })
			b := text(1, size)
			r.write(d, b, 0)
			ctx, cancel := context.WithCancel(r.ctx)
			s.leave = cancel
			_, err := d.Commit(ctx, Target{Key: "k", Cond: objstore.Cond{Absent: true}})
			r.is(err, context.Canceled)
			r.holds("k", b)
			if !d.Dirty() {
				t.Error("clean after a commit that failed")
			}
			if more {
				b = append(b, text(2, 100)...)
				copy(b[10:], "head")
				r.write(d, b[size:], int64(size))
				r.write(d, []byte("head"), 10)
			}
			r.commit(d, Target{Key: "k", Cond: objstore.Cond{Absent: true}})
			r.holds("k", b)
			r.reads(d, b)
			d.Discard()
			r.end()
		}
	}
}

// The object that is edited was replaced by somebody: no mix of both is read.
func TestBaseReplaced(t *testing.T) {
	r := tiny(t)
	defer r.end()
	d := r.pool.Edit(r.put("k", text(1, 50*kib)))
	r.write(d, []byte("x"), 10)
	r.put("k", text(2, 50*kib))
	_, err := d.ReadAt(r.ctx, make([]byte, 100), 0)
	r.is(err, objstore.ErrCond)
}
