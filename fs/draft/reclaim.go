package draft

import (
	"cmp"
	"slices"

	"github.com/pailfs/pailfs/fs/staging"
)

// press makes sure that memory is being reclaimed while writers wait.
func (p *Pool) press() {
	p.mu.Lock()
	start := !p.reclaiming
	p.reclaiming = true
	p.wake()
	p.mu.Unlock()
	if start {
		p.run(p.reclaim)
	}
}

// poke says that something changed which the reclaimer may wait for.
func (p *Pool) poke() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reclaiming {
		p.wake()
	}
}

// feed says that bytes were staged.
func (p *Pool) feed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hungry {
		p.wake()
	}
}

// wake wakes the reclaimer. The caller holds mu.
func (p *Pool) wake() {
	close(p.event)
	p.event = make(chan struct{})
}

// reclaim gives memory back until no writer waits; doc.go says why it always
// comes to an end.
func (p *Pool) reclaim() {
	hungry := false
	for {
		p.mu.Lock()
		event := p.event
		want := p.budget.wanted()
		p.hungry = hungry && want > 0
		p.reclaiming = want > 0
		p.mu.Unlock()
		if want == 0 {
			return
		}
		// Some more than is asked for, so that it need not be done for each write.
		want = max(want, p.budget.max/16)
		drafts := p.list()
		slices.SortFunc(drafts, func(a, b *Draft) int { return cmp.Compare(a.used.Load(), b.used.Load()) })
		found := true
		switch {
		case p.reclaimFrom(drafts, want, (*Draft).dropUnchanged) > 0:
		case p.reclaimFrom(drafts, want, (*Draft).dropClean) > 0:
		case p.reclaimFrom(drafts, want, (*Draft).dropSent) > 0:
		case p.underWay(drafts):
			<-event
		case p.reclaimFrom(drafts, want, (*Draft).dropSent) > 0: // has just arrived
		case p.reclaimFrom(drafts, want, (*Draft).dropUnsummed) > 0:
		case p.reclaimFrom(drafts, want, (*Draft).dropToDisk) > 0:
		case p.spill(drafts, want):
			<-event
		case hungry:
			// All that is staged belongs to commits, which end, or to writers
			// that are about to write what they were granted.
			<-event
		default:
			found = false // look again, now that writes are told
		}
		hungry = !found
	}
}

// reclaimFrom asks the drafts in turn for want bytes.
func (p *Pool) reclaimFrom(drafts []*Draft, want int64, drop func(*Draft, int64) int64) int64 {
	var freed int64
	for _, d := range drafts {
		d.mu.Lock()
		if !d.closed && !d.busy {
			freed += drop(d, want-freed)
		}
		d.mu.Unlock()
		if freed >= want {
			break
		}
	}
	return freed
}

// underWay sends every complete part, and reports whether anything is on its
// way to the store that will free memory.
func (p *Pool) underWay(drafts []*Draft) bool {
	any := false
	for _, d := range drafts {
		d.mu.Lock()
		if !d.closed && !d.busy {
			if d.stream == nil {
				d.stream = d.begin(0)
			} else {
				d.offerAll(d.stream, 0)
			}
		}
		any = any || d.stream != nil && d.stream.pending > 0 || d.spilling != nil
		d.mu.Unlock()
	}
	return any
}

// dropUnchanged drops the cache of a draft without changes.
func (d *Draft) dropUnchanged(want int64) int64 {
	if d.changed {
		return 0
	}
	return d.dropClean(want)
}

// dropClean drops staged bytes that pieces have too. The caller holds mu.
func (d *Draft) dropClean(want int64) int64 {
	if d.staged.Bytes() == d.dirty.Bytes() {
		return 0
	}
	var clean []staging.Extent
	for e := range d.staged.All() {
		off := e.Off
		for x := range d.dirty.In(e.Off, e.End) {
			clean = d.still(clean, off, x.Off)
			off = x.End
		}
		clean = d.still(clean, off, e.End)
	}
	var freed int64
	for _, e := range clean {
		if freed >= want {
			break
		}
		// Clean bytes inside a page that also holds dirty ones free nothing.
		freed += d.drop(e.Off, e.End)
	}
	return freed
}

// still appends [off, end) without what a flying part reads.
func (d *Draft) still(list []staging.Extent, off, end int64) []staging.Extent {
	if s := d.stream; s != nil && s.pending > 0 {
		for i := s.at(off); i < len(s.parts) && s.parts[i].off < end; i++ {
			if p := s.parts[i]; p.flying {
				if off < p.off {
					list = append(list, staging.Extent{Off: off, End: p.off})
				}
				off = p.end
			}
		}
	}
	if off < end {
		list = append(list, staging.Extent{Off: off, End: end})
	}
	return list
}

// dropSent drops parts that the store has, of a file that is written in order:
// such parts are not expected to be changed. The caller holds mu.
func (d *Draft) dropSent(want int64) int64 {
	s := d.stream
	if s == nil || d.jumpy {
		return 0
	}
	var freed int64
	low := -1
	for i := s.low; i < len(s.parts) && freed < want; i++ {
		p := s.parts[i]
		if p.off >= d.frontier {
			break
		}
		switch {
		case s.kept(i) || i < s.head:
		case !p.valid(d.size) || p.end > d.size || !d.written(p) || !d.summed(p.end):
			if low < 0 {
				low = i
			}
		default:
			freed += d.dropPart(p)
		}
		if low < 0 {
			s.low = i + 1
		}
	}
	if low >= 0 {
		s.low = low
	}
	if freed > 0 {
		d.sweep()
	}
	return freed
}

// dropUnsummed is dropSent that does without the SHA-256 of the file.
func (d *Draft) dropUnsummed(want int64) int64 {
	if !d.p.opt.SHA256 || d.stream == nil || d.sum.late {
		return 0
	}
	d.sum.late = true
	return d.dropSent(want)
}

// written reports whether every byte of the part was written since the last commit.
// If not, then a write that the kernel has still in flight may be to come.
func (d *Draft) written(p *part) bool {
	if d.dirty.Covers(p.off, p.end) {
		return true
	}
	for _, s := range d.segs(p.off, p.end, &d.dirty) {
		if s.kind == zeros || s.kind == remote && !s.src.fresh {
			return false
		}
	}
	return true
}

// dropPart leaves the changed bytes of a part to the upload. The caller holds mu.
func (d *Draft) dropPart(p *part) int64 {
	var freed int64
	if d.p.opt.KeepSent {
		freed = d.toDisk(p.off, p.end)
	}
	for _, e := range slices.Collect(d.dirty.In(p.off, p.end)) {
		if d.spilling != nil {
			d.spilling.changed.Add(e.Off, e.End) // it may read zeros from now on
		}
		d.setPiece(piece{e.Off, e.End, gone, 0})
		d.dirty.Remove(e.Off, e.End)
		freed += d.drop(e.Off, e.End)
	}
	return freed
}
