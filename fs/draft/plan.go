package draft

import "github.com/pailfs/pailfs/objstore"

// gib is the largest range copied as one part: a copy inside the provider takes
// time in proportion, and many small ones run in parallel.
const gib = 1 << 30

// span is one part of a plan: bytes [off, end) of the file.
type span struct {
	off, end int64
	copied   bool // taken from a range of one object inside the provider
}

func (s span) len() int64 { return s.end - s.off }

// planPatch plans the parts of a new object from runs, which cover the file in
// order and say what can be copied from where it is. Short gaps between changes
// are absorbed, so that every part is large enough, and there are not too many.
// It returns nil when nothing is worth a copy.
func planPatch(runs []span, l ladder, caps objstore.Caps) []span {
	least := max(caps.MinPart, 1)
	worth, want := least, max(l.first, least)
	for {
		plan := patch(runs, worth, want, least, l.max)
		copies := 0
		for _, s := range plan {
			if s.copied {
				copies++
			}
		}
		if copies == 0 {
			return nil
		}
		if len(plan) <= caps.MaxParts {
			return plan
		}
		worth *= 2
		want = min(want*2, l.max)
	}
}

func patch(runs []span, worth, want, least, most int64) []span {
	var in []span
	add := func(s span) {
		if s.off >= s.end {
			return
		}
		if n := len(in); n > 0 && !s.copied && !in[n-1].copied {
			in[n-1].end = s.end
			return
		}
		in = append(in, s)
	}
	for _, r := range runs {
		if r.len() < worth {
			r.copied = false
		}
		// Bytes to be sent that are too few for a part take some from the run
		// that follows.
		if n := len(in); n > 0 && r.copied && !in[n-1].copied && in[n-1].len() < least {
			lack := least - in[n-1].len()
			if r.len()-lack < worth {
				r.copied = false
			} else {
				in[n-1].end += lack
				r.off += lack
			}
		}
		add(r)
	}
	var plan []span
	for _, r := range in {
		size := want
		if r.copied {
			size = max(want, gib)
		}
		for _, s := range even(r.off, r.end, min(size, most), least, most) {
			s.copied = r.copied
			plan = append(plan, s)
		}
	}
	return plan
}
