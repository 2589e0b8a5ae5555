package fs

import (
	"cmp"
	"slices"

	"github.com/pailfs/pailfs/fs/keypath"
	"github.com/pailfs/pailfs/fs/prefetch"
)

const (
	// ordered is how many names at most a directory has whose files are
	// prefetched: beyond, finding out what comes next takes too long.
	ordered = 20_000

	// maxSkip is how many files a program may leave out and still be one that
	// reads a directory from end to end.
	maxSkip = 8

	firstWindow = 8 // files fetched ahead of one that reads a directory
	maxWindow   = 64
)

// orders are the two in which programs go through a directory: as it is listed
// (tar, rsync), and by inode number (cp, find in large directories).
type orders [2]struct {
	names []string
	place map[string]int
}

// orders are made when they are first needed, and kept through changes: who uses
// them looks whether a name is still there. d.mu must be held.
func (l *listing) inOrder(prefix string) *orders {
	if l.orders != nil || len(l.entries) > ordered {
		return l.orders
	}
	l.orders = &orders{}
	var names []string
	ino := map[string]uint64{}
	for name, e := range l.entries {
		key := keypath.File(prefix, name)
		if e.isDir {
			key = keypath.Dir(prefix, name)
		}
		names = append(names, name)
		ino[name] = inoOf(key)
	}
	byIno := slices.Clone(names)
	slices.Sort(names)
	slices.SortFunc(byIno, func(a, b string) int { return cmp.Compare(ino[a], ino[b]) })
	for i, names := range [][]string{names, byIno} {
		o := &l.orders[i]
		o.names, o.place = names, make(map[string]int, len(names))
		for n, name := range names {
			o.place[name] = n
		}
	}
	return l.orders
}

// reading is how far a program has come that goes through a directory. Guarded
// by dir.mu.
type reading struct {
	last string
	runs [2]int // names in order of late, in each of the orders
}

// next notes that a name is taken, and says which order fits best and how many
// names were taken in that order of late.
func (r *reading) next(all *orders, name string) (best, run int) {
	for i := range all {
		now, here := all[i].place[name]
		last, there := all[i].place[r.last]
		if here && there && now > last && now <= last+maxSkip {
			r.runs[i]++
		} else {
			r.runs[i] = 0
		}
		if r.runs[i] > r.runs[best] {
			best = i
		}
	}
	r.last = name
	return best, r.runs[best]
}

// readNext is told that a file is being read from the store, and fetches those
// that are likely to be read next. The listing that tells which they are may be
// old: what is fetched is a version, and used only if it is the one wanted.
func (f *file) readNext() {
	d, name := f.m.tree.at(&f.place)
	prefix := f.m.tree.prefix(d)
	for _, e := range d.likelyNext(prefix, name) {
		if !f.m.ahead.Fetch(e.obj) {
			return
		}
	}
}

// following gives the names behind name in the order in which a program goes
// through the directory, and how many it took in that order of late: none if less
// than two. d.mu must be held.
func (d *dir) following(r *reading, prefix, name string) (names []string, run int) {
	if d.known == nil {
		return nil, 0
	}
	all := d.known.inOrder(prefix)
	if all == nil {
		return nil, 0
	}
	best, run := r.next(all, name)
	if run < 2 {
		return nil, run
	}
	return all[best].names[all[best].place[name]+1:], run
}

func (d *dir) likelyNext(prefix, name string) []entry {
	d.mu.Lock()
	defer d.mu.Unlock()
	names, run := d.following(&d.reading, prefix, name)
	if len(names) == 0 {
		return nil
	}
	window := min(firstWindow<<min(run-2, 10), maxWindow)
	var next []entry
	for _, n := range names[:min(window, len(names))] {
		if e, ok := d.known.entries[n]; ok && !e.isDir && d.local[n] == nil && e.obj.Size <= prefetch.MaxSize {
			next = append(next, e)
		}
	}
	return next
}
