package draft

import (
	"context"
	"errors"
	"fmt"

	"github.com/pailfs/pailfs/objstore"
)

// Commit publishes the content at t.Key and returns the object. Afterwards the
// draft is a clean one over that object, and writes may go on. Writes wait while
// a commit runs, reads do not.
//
// After an error the draft is as dirty as before, and Commit may be called again.
// That holds too when ctx ends, whatever the store made of the last request: the
// next Commit finds out first.
func (d *Draft) Commit(ctx context.Context, t Target) (objstore.Object, error) {
	none := objstore.Object{}
	leave, err := d.enter(ctx)
	if err != nil {
		return none, err
	}
	defer leave()
	obj, err := d.commit(ctx, t)
	if err != nil {
		return none, fmt.Errorf("commit %q: %w", t.Key, err)
	}
	return obj, nil
}

// enter shuts writers out and keeps the staged bytes where they are.
func (d *Draft) enter(ctx context.Context) (leave func(), err error) {
	if err := d.op.Acquire(ctx, writers); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for err == nil && (d.spilling != nil || d.stream != nil && !d.stream.begun) {
		err = d.wait(ctx)
	}
	switch {
	case d.closed:
		err = ErrDiscarded
	case d.fatal != nil:
		err = d.fatal
	}
	if err != nil {
		d.op.Release(writers)
		return nil, err
	}
	d.busy = true
	d.used.Store(d.p.clock.Add(1))
	return func() {
		d.mu.Lock()
		d.busy = false
		d.signal()
		d.mu.Unlock()
		d.op.Release(writers)
	}, nil
}

func (d *Draft) commit(ctx context.Context, t Target) (objstore.Object, error) {
	d.mu.Lock()
	d.early, d.noStream = nil, false
	unsettled := len(d.attempts) > 0
	done := !d.changed && d.base != nil && d.fits(t)
	var obj objstore.Object
	if done {
		obj = d.base.obj
	}
	d.mu.Unlock()
	if done {
		return obj, nil
	}
	if unsettled {
		if obj, done, err := d.settle(ctx, &t); done || err != nil {
			return obj, err
		}
	}
	obj, err := d.publish(ctx, t)
	if err == nil || ctx.Err() != nil {
		return obj, err
	}
	was := t.Cond
	found, done, serr := d.settle(ctx, &t)
	switch {
	case done:
		return found, serr
	case serr != nil:
		d.p.log.Warn("outcome of a commit is unknown", "key", t.Key, "err", serr)
		return obj, err
	case t.Cond != was: // an object of ours is there, but not as it should be
		return d.publish(ctx, t)
	}
	return obj, err
}

// fits reports whether the last commit is all that t asks for.
func (d *Draft) fits(t Target) bool {
	return d.base.obj.Key == t.Key && (t.Metadata == nil ||
		d.base.obj.MetadataKnown && t.accepts(d.base.obj.Metadata, nil))
}

// publish makes the object, the way the draft's state asks for.
func (d *Draft) publish(ctx context.Context, t Target) (objstore.Object, error) {
	d.mu.Lock()
	s := d.stream
	if s != nil {
		_, lost := d.lost(0, d.size)
		switch {
		case s.key == t.Key && s.cond == t.Cond && !s.broken:
		case !lost:
			d.abandon()
			s = nil
		case s.key != t.Key:
			d.mu.Unlock()
			return objstore.Object{}, objstore.NewError("commit", t.Key, objstore.ErrUnsupported,
				fmt.Errorf("the upload under way goes to %q: %w", s.key, ErrGone))
		case s.cond != t.Cond:
			if u, ok := s.up.(lateCond); ok && d.p.caps.CondPut {
				u.SetCond(t.Cond)
				s.cond = t.Cond
			} // else let the store decide
		}
	}
	d.mu.Unlock()
	if err := d.holds(ctx, t); err != nil {
		return objstore.Object{}, err
	}
	if s != nil {
		return d.finish(ctx, s, t)
	}
	id := d.nextID()
	d.attempt(id)
	obj, err := d.assemble(ctx, t.Key, t.put(id, d.p.caps))
	if err != nil {
		return obj, err
	}
	return d.adopt(obj)
}

// holds looks whether the condition holds, for a store that does not: a race is
// still possible then, but not the loss of what was there long before.
func (d *Draft) holds(ctx context.Context, t Target) error {
	if d.p.caps.CondPut || t.Cond.IsZero() {
		return nil
	}
	o, err := d.p.store.Stat(ctx, t.Key)
	switch {
	case errors.Is(err, objstore.ErrNotFound):
		if t.Cond.Version == "" {
			return nil
		}
		err = errors.New("no object is there")
	case err != nil:
		return err
	case !t.Cond.Absent && o.Version == t.Cond.Version:
		return nil
	default:
		err = fmt.Errorf("version is %q", o.Version)
	}
	return objstore.NewError("commit", t.Key, objstore.ErrCond, err)
}

// lateCond is an Upload whose condition may be changed until its Commit.
type lateCond interface{ SetCond(objstore.Cond) }

// attempt notes that an object with this id may come to be.
func (d *Draft) attempt(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.attempts == nil {
		d.attempts = map[string]int64{}
	}
	d.attempts[id] = d.seq
}

// settle looks whether the object at the key is one that an earlier attempt made
// without our knowing. Such an object is adopted; done says that nothing is left
// to do. Otherwise the condition of t is made to ask for it.
func (d *Draft) settle(ctx context.Context, t *Target) (obj objstore.Object, done bool, err error) {
	call, cancel := d.p.cleanup(ctx)
	defer cancel()
	obj, err = d.p.store.Stat(call, t.Key)
	if errors.Is(err, objstore.ErrNotFound) {
		return objstore.Object{}, false, nil
	}
	if err != nil {
		return obj, false, err
	}
	d.mu.Lock()
	seq, ours := d.attempts[obj.Metadata[MetaID]]
	same := seq == d.seq
	size := d.size
	d.mu.Unlock()
	if !ours || same && obj.Size != size {
		return objstore.Object{}, false, nil
	}
	if same {
		if obj, err = d.adopt(obj); err == nil && !t.accepts(obj.Metadata, t.Soft) {
			obj, err = d.amend(ctx, obj, *t)
		}
		return obj, true, err
	}
	d.rescue(obj)
	t.Cond = objstore.Cond{Version: obj.Version}
	return objstore.Object{}, false, nil
}

// rescue takes the bytes that are only in the upload from the object that it
// became, while newer changes wait for their own commit.
func (d *Draft) rescue(obj objstore.Object) {
	d.mu.Lock()
	defer d.mu.Unlock()
	src := &source{obj: obj}
	for _, s := range d.segs(0, d.size, &d.dirty) {
		if s.gone() {
			d.setPiece(piece{s.off, s.end, src, s.off})
		}
	}
	d.abandon()
}

// adopt makes the draft a clean one over obj. What is staged stays as a cache.
func (d *Draft) adopt(obj objstore.Object) (objstore.Object, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if obj.Size != d.size {
		return objstore.Object{}, objstore.NewError("commit", obj.Key, objstore.ErrChecksum,
			fmt.Errorf("object has %d bytes, the file %d", obj.Size, d.size))
	}
	d.base = &source{obj: obj}
	d.pieces.clear()
	d.setPiece(piece{0, obj.Size, d.base, 0})
	d.mapped++
	d.dirty.Clear()
	d.sweep()
	if s := d.stream; s != nil {
		d.abandon() // committed, or of no use: an abort does no harm
	}
	d.changed, d.jumpy, d.frontier, d.attempts = false, false, 0, nil
	d.sum.late = false
	return obj, nil
}

// finish sends what is missing of the early upload and commits it.
func (d *Draft) finish(ctx context.Context, s *stream, t Target) (objstore.Object, error) {
	none := objstore.Object{}
	last, err := d.settleParts(ctx, s)
	if err != nil {
		return none, err
	}
	sum := d.wholeSum(ctx)
	d.mu.Lock()
	meta, soft := s.metadata, s.soft
	if u, ok := s.up.(objstore.LateMetadata); ok {
		meta, soft = withSum(t.metadata(s.id), sum), t.Soft
		u.SetMetadata(meta)
	} else if u, ok := s.up.(objstore.LateSHA256); ok {
		if !t.accepts(meta, soft) {
			sum = nil // it goes into the metadata, see amend
		}
		u.SetSHA256(sum)
	}
	d.mu.Unlock()
	d.attempt(s.id)
	obj, err := s.up.Commit(ctx, last)
	if err != nil {
		d.mu.Lock()
		s.broken = s.broken || !errors.Is(err, objstore.ErrTransient) && !errors.Is(err, objstore.ErrThrottled)
		d.mu.Unlock()
		return none, err
	}
	d.mu.Lock()
	d.stream = nil // it is no more
	s.cancel()
	d.mu.Unlock()
	if obj, err = d.adopt(obj); err != nil || t.accepts(meta, soft) {
		return obj, err
	}
	return d.amend(ctx, obj, t)
}

// amend gives the object that was just committed the metadata of t.
func (d *Draft) amend(ctx context.Context, obj objstore.Object, t Target) (objstore.Object, error) {
	id := newID()
	d.mu.Lock()
	d.attempts = map[string]int64{obj.Metadata[MetaID]: d.seq, id: d.seq}
	d.changed = true // until the metadata are there too
	d.mu.Unlock()
	t.Cond = objstore.Cond{Version: obj.Version}
	obj, err := d.assemble(ctx, t.Key, t.put(id, d.p.caps))
	if err != nil {
		return obj, fmt.Errorf("metadata: %w", err)
	}
	return d.adopt(obj)
}

// settleParts waits until the store has every part as it is now, and returns the
// number of the last one. A part that failed is sent once more. When ctx ends
// the sends go on by themselves.
func (d *Draft) settleParts(ctx context.Context, s *stream) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s.extend(d.size)
	last := s.at(d.size - 1)
	for _, p := range s.parts {
		p.tried = false
	}
	for {
		flying := 0
		var failed error
		for i, p := range s.parts[:last+1] {
			switch {
			case p.valid(d.size):
			case p.flying:
				flying++
			case p.tried:
				failed = p.err
				if failed == nil {
					failed = context.Cause(s.ctx)
				}
			default:
				if lost, ok := d.lost(p.off, min(p.end, d.size)); ok {
					return 0, goneError(ErrRewriteGone, lost.off, lost.end)
				}
				p.tried = true
				d.send(s, i)
				flying++
			}
		}
		if failed != nil {
			return 0, failed
		}
		if flying == 0 {
			return last + 1, nil
		}
		if err := d.wait(ctx); err != nil {
			return 0, err
		}
		if d.closed {
			return 0, ErrDiscarded
		}
	}
}
