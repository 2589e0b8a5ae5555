package staging

import (
	"iter"
	"slices"
	"sort"
)

// Extent is the byte range [Off, End).
type Extent struct{ Off, End int64 }

// Len is the number of bytes in the extent.
func (e Extent) Len() int64 { return e.End - e.Off }

// Set is a set of bytes, kept as sorted, disjoint extents that do not touch.
// The zero value is empty. It is not safe for concurrent use.
type Set struct {
	ext   []Extent
	bytes int64
}

// first is the index of the first extent that ends behind off.
func (s *Set) first(off int64) int {
	return sort.Search(len(s.ext), func(i int) bool { return s.ext[i].End > off })
}

// Bytes is the number of bytes in the set.
func (s *Set) Bytes() int64 { return s.bytes }

// Count is the number of extents in the set.
func (s *Set) Count() int { return len(s.ext) }

// Add puts [off, end) into the set.
func (s *Set) Add(off, end int64) {
	if off >= end {
		return
	}
	// Extents that only touch are merged too, so look from one byte earlier.
	i := sort.Search(len(s.ext), func(i int) bool { return s.ext[i].End >= off })
	j := i
	for ; j < len(s.ext) && s.ext[j].Off <= end; j++ {
		off = min(off, s.ext[j].Off)
		end = max(end, s.ext[j].End)
		s.bytes -= s.ext[j].Len()
	}
	s.bytes += end - off
	if j == i+1 {
		s.ext[i] = Extent{off, end}
		return
	}
	s.ext = slices.Replace(s.ext, i, j, Extent{off, end})
}

// Remove takes [off, end) out of the set.
func (s *Set) Remove(off, end int64) {
	if off >= end {
		return
	}
	i := s.first(off)
	j := i
	var rest []Extent
	for ; j < len(s.ext) && s.ext[j].Off < end; j++ {
		e := s.ext[j]
		s.bytes -= e.Len()
		if e.Off < off {
			rest = append(rest, Extent{e.Off, off})
			s.bytes += off - e.Off
		}
		if e.End > end {
			rest = append(rest, Extent{end, e.End})
			s.bytes += e.End - end
		}
	}
	if i != j {
		s.ext = slices.Replace(s.ext, i, j, rest...)
	}
}

// Clear empties the set.
func (s *Set) Clear() { *s = Set{} }

// Covers reports whether all of [off, end) is in the set.
func (s *Set) Covers(off, end int64) bool {
	if off >= end {
		return true
	}
	i := s.first(off)
	return i < len(s.ext) && s.ext[i].Off <= off && s.ext[i].End >= end
}

// Overlaps reports whether any byte of [off, end) is in the set.
func (s *Set) Overlaps(off, end int64) bool {
	i := s.first(off)
	return off < end && i < len(s.ext) && s.ext[i].Off < end
}

// In yields the extents of the set cut to [off, end), in order.
func (s *Set) In(off, end int64) iter.Seq[Extent] {
	return func(yield func(Extent) bool) {
		for i := s.first(off); i < len(s.ext) && s.ext[i].Off < end; i++ {
			e := Extent{max(off, s.ext[i].Off), min(end, s.ext[i].End)}
			if e.Off < e.End && !yield(e) {
				return
			}
		}
	}
}

// All yields every extent in order.
func (s *Set) All() iter.Seq[Extent] { return slices.Values(s.ext) }

// BytesIn is the number of bytes of [off, end) in the set.
func (s *Set) BytesIn(off, end int64) int64 {
	var n int64
	for e := range s.In(off, end) {
		n += e.Len()
	}
	return n
}

// Min is the lowest byte in the set; ok is false when it is empty.
func (s *Set) Min() (off int64, ok bool) {
	if len(s.ext) == 0 {
		return 0, false
	}
	return s.ext[0].Off, true
}
