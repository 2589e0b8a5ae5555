package staging

import "sync"

const (
	groupLen = 256            // pages of a group
	slabLen  = 256            // pages of a slab: 1 MiB
	slabSize = slabLen * Page // bytes
	maxSpare = 32             // slabs kept for the next to come while others are in use
)

// memory holds the bytes of a File page by page. What it has no page for is
// zeros. The zero value is empty.
type memory struct{ groups map[int64]*group }

// group is a run of pages of a file.
type group struct {
	pages [groupLen]page
	used  int
}

// page is one page of a slab; the zero value is none.
type page struct {
	slab *slab
	off  int32 // in its mem
}

func (p page) bytes() []byte {
	if p.slab == nil {
		return nil
	}
	return p.slab.mem[p.off : p.off+Page]
}

func (m *memory) page(i int64) []byte {
	if g := m.groups[i/groupLen]; g != nil {
		return g.pages[i%groupLen].bytes()
	}
	return nil
}

func (m *memory) write(b []byte, off int64) {
	for len(b) > 0 {
		i, in := off/Page, off%Page
		p := m.page(i)
		n := min(int64(len(b)), Page-in)
		if p == nil {
			if p = m.add(i); n < Page {
				clear(p)
			}
		}
		copy(p[in:], b[:n])
		b, off = b[n:], off+n
	}
}

func (m *memory) add(i int64) []byte {
	g := m.groups[i/groupLen]
	if g == nil {
		if m.groups == nil {
			m.groups = map[int64]*group{}
		}
		g = &group{}
		m.groups[i/groupLen] = g
	}
	p := slabs.take()
	g.pages[i%groupLen] = p
	g.used++
	return p.bytes()
}

func (m *memory) read(b []byte, off int64) {
	for len(b) > 0 {
		in := off % Page
		n := min(int64(len(b)), Page-in)
		if p := m.page(off / Page); p != nil {
			copy(b[:n], p[in:])
		} else {
			clear(b[:n])
		}
		b, off = b[n:], off+n
	}
}

// zero makes [off, end) zeros and keeps the pages.
func (m *memory) zero(off, end int64) {
	for off < end {
		in := off % Page
		n := min(end-off, Page-in)
		if p := m.page(off / Page); p != nil {
			clear(p[in : in+n])
		}
		off += n
	}
}

// drop gives the pages of [off, end) back; both are multiples of Page.
func (m *memory) drop(off, end int64) {
	for i := off / Page; i < end/Page; i++ {
		g := m.groups[i/groupLen]
		if g == nil {
			i |= groupLen - 1
			continue
		}
		if p := g.pages[i%groupLen]; p.slab != nil {
			slabs.put(p)
			g.pages[i%groupLen] = page{}
			if g.used--; g.used == 0 {
				delete(m.groups, i/groupLen)
			}
		}
	}
}

func (m *memory) reset() {
	for _, g := range m.groups {
		for _, p := range g.pages {
			if p.slab != nil {
				slabs.put(p)
			}
		}
	}
	m.groups = nil
}

// slabs is where the pages of all Files in memory come from. They are outside of
// the Go heap, so that what is given back is really gone and the collector does
// not let the process grow to twice the budget.
var slabs arena

// arena hands out pages.
type arena struct {
	mu    sync.Mutex
	open  []*slab // with some pages in use, and some not
	spare []*slab // with none in use
	used  int     // pages
}

type slab struct {
	mem  []byte
	free []int32 // offsets of the pages that are not in use
	at   int     // index in open
}

// take returns a page with unknown bytes in it.
func (a *arena) take() page {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.used++
	if len(a.open) == 0 {
		var s *slab
		if n := len(a.spare); n > 0 {
			s = a.spare[n-1]
			a.spare = a.spare[:n-1]
		} else {
			s = newSlab()
		}
		a.add(s)
	}
	s := a.open[len(a.open)-1]
	n := len(s.free) - 1
	off := s.free[n]
	if s.free = s.free[:n]; n == 0 {
		a.remove(s)
	}
	return page{s, off}
}

// put takes a page back. Nobody may use it any more.
func (a *arena) put(p page) {
	scrub(p.bytes())
	a.mu.Lock()
	defer a.mu.Unlock()
	a.used--
	s := p.slab
	if len(s.free) == 0 {
		a.add(s)
	}
	s.free = append(s.free, p.off)
	if len(s.free) == slabLen {
		a.remove(s)
		a.spare = append(a.spare, s)
	}
	keep := maxSpare
	if a.used == 0 {
		keep = 1
	}
	for len(a.spare) > keep {
		last := len(a.spare) - 1
		unmapSlab(a.spare[last].mem)
		a.spare = a.spare[:last]
	}
}

func (a *arena) add(s *slab) {
	s.at = len(a.open)
	a.open = append(a.open, s)
}

func (a *arena) remove(s *slab) {
	last := len(a.open) - 1
	a.open[s.at] = a.open[last]
	a.open[s.at].at = s.at
	a.open = a.open[:last]
}

func newSlab() *slab {
	s := &slab{mem: mapSlab(), free: make([]int32, slabLen)}
	for i := range s.free {
		s.free[i] = int32(slabSize - Page*(i+1)) // the first page is the first to go
	}
	return s
}
