package draft

import "github.com/pailfs/pailfs/objstore"

// ladder says how large the parts of an upload are. They start at first, double
// after every tenth of the parts that an upload may have, and stop at comfort,
// the largest part that the memory budget holds with ease. They leave that path
// for parts of max bytes only when otherwise the rest of the parts could not
// reach the goal; such a part is put together from private objects.
type ladder struct {
	first, comfort, max int64
	parts               int
	goal                int64 // bytes that every upload can reach
}

// newLadder makes the ladder for a store. The goal is the store's largest
// object, but not more than half of what its number of parts would hold if each
// were of the largest size: an upload that wants more would have to begin with
// such parts. (S3, 10,000 parts of 5 GiB: 24.4 TiB.)
func newLadder(c objstore.Caps, first, comfort int64) ladder {
	l := ladder{max: c.MaxPart, parts: c.MaxParts}
	l.first = min(max(first, c.MinPart, 1), l.max)
	l.comfort = min(max(comfort, l.first), l.max)
	// Without overflow: MaxParts * MaxPart may be far beyond 63 bits.
	whole := int64(c.MaxParts)
	if whole > c.MaxObject/l.max {
		l.goal = c.MaxObject
	} else {
		l.goal = min(whole*l.max, c.MaxObject)
	}
	if half := (whole + 1) / 2; half <= l.goal/l.max {
		l.goal = min(l.goal, half*l.max)
	}
	return l
}

// size is the size of part n (from 0) that begins at off.
func (l ladder) size(n int, off int64) int64 {
	s := l.first
	step := max(l.parts/10, 1)
	for i := n / step; i > 0 && s < l.comfort; i-- {
		s = min(s*2, l.comfort)
	}
	left := int64(l.parts - n - 1)
	if need := l.goal - off - s; need > 0 && left < (need+l.max-1)/l.max {
		return l.max
	}
	return s
}

// reaches reports whether an upload can reach the goal when n parts hold the
// first off bytes already.
func (l ladder) reaches(n int, off int64) bool {
	need := l.goal - off
	return need <= 0 || int64(l.parts-n) >= (need+l.max-1)/l.max
}

// split is how the parts of an upload of size bytes begin at off with part n.
func (l ladder) split(n int, off, size int64) []span {
	var s []span
	for off < size {
		end := off + l.size(n, off)
		s = append(s, span{off: off, end: min(end, size)})
		off, n = end, n+1
	}
	return s
}

// even cuts [off, end) into equal spans of about want bytes: not less than
// least unless the whole is, and not more than most.
func even(off, end, want, least, most int64) []span {
	n := (end - off + want - 1) / want
	if n > 1 && (end-off)/n < least {
		n = max((end-off)/least, 1)
	}
	n = max(n, (end-off+most-1)/most)
	var s []span
	for ; n > 0; n-- {
		cut := off + (end-off)/n
		s = append(s, span{off: off, end: cut})
		off = cut
	}
	return s
}
