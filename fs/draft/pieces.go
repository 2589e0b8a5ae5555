package draft

import (
	"io"
	"iter"
	"slices"
	"sort"

	"github.com/pailfs/pailfs/objstore"
)

// source is where bytes are that are not in memory.
type source struct {
	obj     objstore.Object // guarded by Draft.mu: it may be renamed
	private bool            // an object of ours, to be deleted when unused
	disk    bool            // on the local disk: in local, or else in Draft.disk
	local   io.ReaderAt     // where Draft.Stow put it
	gone    bool            // in the upload under way: not readable before its commit
	fresh   bool            // all of it was written since the last commit
	refs    int             // pieces that name it
}

// gone is the source of all bytes that are only in an upload.
var gone = &source{gone: true, fresh: true}

// piece says that the bytes [off, end) of the file begin at byte at of src.
type piece struct {
	off, end int64
	src      *source
	at       int64
}

func (p piece) cut(off, end int64) piece {
	lo, hi := max(off, p.off), min(end, p.end)
	return piece{lo, hi, p.src, p.at + lo - p.off}
}

// pieces are disjoint and sorted; what none of them covers is zeros.
type pieces struct{ list []piece }

func (p *pieces) first(off int64) int {
	return sort.Search(len(p.list), func(i int) bool { return p.list[i].end > off })
}

// in yields the pieces cut to [off, end).
func (p *pieces) in(off, end int64) iter.Seq[piece] {
	return func(yield func(piece) bool) {
		for i := p.first(off); i < len(p.list) && p.list[i].off < end; i++ {
			if c := p.list[i].cut(off, end); c.off < c.end && !yield(c) {
				return
			}
		}
	}
}

// set puts n over what was there. A nil source makes a hole.
func (p *pieces) set(n piece) {
	if n.off >= n.end {
		return
	}
	i := p.first(n.off)
	j := i
	var with []piece
	for ; j < len(p.list) && p.list[j].off < n.end; j++ {
		old := p.list[j]
		if old.off < n.off {
			with = append(with, old.cut(old.off, n.off))
		}
		if old.end > n.end {
			defer p.set(old.cut(n.end, old.end)) // it is the last one of the loop
		}
	}
	if n.src != nil {
		// Join what goes on where its neighbour ends.
		if k := len(with); k > 0 && with[k-1].joins(n) {
			n.off, n.at = with[k-1].off, with[k-1].at
			with = with[:k-1]
		} else if k == 0 && i > 0 && p.list[i-1].joins(n) {
			i--
			n.off, n.at = p.list[i].off, p.list[i].at
		}
		with = append(with, n)
	}
	p.replace(i, j, with...)
}

func (p piece) joins(n piece) bool {
	return p.end == n.off && p.src == n.src && (p.src.gone || p.at+p.end-p.off == n.at)
}

func (p *pieces) replace(i, j int, with ...piece) {
	for _, old := range p.list[i:j] {
		if !old.src.gone {
			old.src.refs--
		}
	}
	for _, n := range with {
		if !n.src.gone {
			n.src.refs++
		}
	}
	p.list = slices.Replace(p.list, i, j, with...)
}

func (p *pieces) clear() { p.replace(0, len(p.list)) }

// kind says where the bytes of a segment are.
type kind int

const (
	zeros  kind = iota
	staged      // in the draft's staging file
	remote      // in a source
)

// seg is a run of bytes that come from one place.
type seg struct {
	off, end int64
	kind     kind
	src      *source
	at       int64
}

func (s seg) gone() bool { return s.kind == remote && s.src.gone }
