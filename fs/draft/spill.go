package draft

import (
	"cmp"
	"io"
	"slices"
	"sort"

	"github.com/pailfs/pailfs/fs/staging"
	"github.com/pailfs/pailfs/objstore"
)

// spill is a move of staged bytes to a private object.
type spill struct {
	key     string
	extents []staging.Extent
	at      []int64     // where each begins in the object
	size    int64       // of the object
	changed staging.Set // written meanwhile: not moved
}

// spills is how many private objects are written at a time.
const spills = 8

// spill begins to move want bytes of the drafts that have most of them, and
// reports whether there are any.
func (p *Pool) spill(drafts []*Draft, want int64) bool {
	type victim struct {
		d     *Draft
		bytes int64
	}
	var all []victim
	for _, d := range drafts {
		d.mu.RLock()
		if !d.closed && !d.busy && d.dirty.Bytes() > 0 {
			all = append(all, victim{d, d.dirty.Bytes()})
		}
		d.mu.RUnlock()
	}
	slices.SortStableFunc(all, func(a, b victim) int { return cmp.Compare(b.bytes, a.bytes) })
	n := 0
	for _, v := range all {
		if want <= 0 || n == spills {
			break
		}
		if size := v.d.startSpill(); size > 0 {
			want -= size
			n++
		}
	}
	return n > 0
}

// startSpill begins to move bytes of the draft, and says how many.
func (d *Draft) startSpill() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || d.busy || d.spilling != nil || d.dirty.Bytes() == 0 {
		return 0
	}
	s := &spill{key: d.p.privateKey()}
	most := min(d.p.caps.MaxPut, max(d.p.ladder.comfort, d.p.ladder.first))
	s.take(d.sentExtents(), most)
	if s.size == 0 {
		s.take(d.dirty.In(0, d.size), most)
	}
	d.spilling = s
	d.p.run(func() { d.spill(s) })
	return s.size
}

// sentExtents are the dirty bytes that the store has, and that stay here only
// because they may be written again. They go first, for they go once.
func (d *Draft) sentExtents() func(func(staging.Extent) bool) {
	return func(yield func(staging.Extent) bool) {
		if d.stream == nil {
			return
		}
		for _, p := range d.stream.parts {
			if !p.valid(d.size) {
				continue
			}
			for e := range d.dirty.In(p.off, min(p.end, d.size)) {
				if !yield(e) {
					return
				}
			}
		}
	}
}

func (s *spill) take(from func(func(staging.Extent) bool), most int64) {
	for e := range from {
		e.End = min(e.End, e.Off+most-s.size)
		if e.Off >= e.End {
			return
		}
		s.extents = append(s.extents, e)
		s.at = append(s.at, s.size)
		s.size += e.Len()
	}
}

// gather reads the extents of a spill as one run of bytes.
type gather struct {
	s    *spill
	file *staging.File
}

func (g gather) ReadAt(b []byte, off int64) (int, error) {
	n := 0
	for i := sort.Search(len(g.s.at), func(i int) bool { return g.s.at[i]+g.s.extents[i].Len() > off }); i < len(g.s.at) && n < len(b); i++ {
		e, in := g.s.extents[i], off-g.s.at[i]
		k := int(min(int64(len(b)-n), e.Len()-in))
		if _, err := g.file.ReadAt(b[n:n+k], e.Off+in); err != nil {
			return n, err
		}
		n, off = n+k, off+int64(k)
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// spill writes the private object and lets go of the bytes that are in it.
func (d *Draft) spill(s *spill) {
	p := d.p
	obj, err := p.store.Put(d.ctx, s.key, io.NewSectionReader(gather{s, &d.file}, 0, s.size), objstore.PutOptions{
		Metadata: map[string]string{MetaID: newID()},
	})
	d.mu.Lock()
	defer d.mu.Unlock()
	defer d.signal()
	d.spilling = nil
	if err != nil || d.closed {
		p.remove(s.key) // a failed Put may have happened
		if err != nil && !d.closed {
			p.log.Warn("staged bytes not moved to the store", "key", s.key, "err", err)
			p.budget.fail(err)
		}
		return
	}
	src := &source{obj: obj, private: true, fresh: true}
	for i, e := range s.extents {
		off := e.Off
		move := func(end int64) {
			if off < end {
				d.setPiece(piece{off, end, src, s.at[i] + off - e.Off})
				d.dirty.Remove(off, end)
				p.spilled.Add(end - off)
			}
		}
		for c := range s.changed.In(e.Off, e.End) {
			move(c.Off)
			off = c.End
		}
		move(e.End)
	}
	if src.refs == 0 {
		p.remove(s.key)
	}
	d.sweep()
}
