package fs

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/pailfs/pailfs/fs/keypath"
	"github.com/pailfs/pailfs/objstore"
)

// maxListing is how many names of one directory are remembered; larger
// directories are read page by page each time. At about 300 bytes an entry.
const maxListing = 100_000

// entry is what the store has under one name of a directory.
type entry struct {
	name  string
	isDir bool
	obj   objstore.Object // of a file
	asOf  time.Time       // when the store was asked
}

// listing is the content of a directory as the store had it at a moment, with
// our own changes since.
type listing struct {
	at      time.Time
	until   time.Time // when it is believed no more
	ahead   bool      // read before it was wanted, and not used yet
	entries map[string]entry
	orders  *orders // nil until they are needed; as of then
}

// change is one change of ours to a directory, kept while listings are under
// way that may or may not have seen it.
type change struct {
	seq  int64
	gone bool
	entry
}

// note records what we did to the name: later lookups need not ask the store,
// and listings under way cannot undo it.
func (d *dir) note(c change) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seq++
	c.seq = d.seq
	if d.listings > 0 {
		d.changes = append(d.changes, c)
	}
	if d.known != nil {
		d.known.apply(c)
	}
}

func (d *dir) noteFile(name string, obj objstore.Object) {
	d.note(change{entry: entry{name: name, obj: obj, asOf: time.Now()}})
}
func (d *dir) noteDir(name string)  { d.note(change{entry: entry{name: name, isDir: true}}) }
func (d *dir) noteGone(name string) { d.note(change{gone: true, entry: entry{name: name}}) }

// believed reports whether the store need not be asked again.
func (l *listing) believed() bool { return l != nil && time.Now().Before(l.until) }

func (l *listing) apply(c change) {
	if c.gone {
		delete(l.entries, c.name)
	} else {
		l.entries[c.name] = c.entry
	}
}

// lookIn gives the entry of a name from the remembered listing; known is false
// where there is no fresh one.
func (d *dir) lookIn(name string) (e entry, found, known bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.known.believed() {
		return entry{}, false, false
	}
	e, found = d.known.entries[name]
	return e, found, true
}

// pages reads a directory from the store page by page. Names come in the
// order of the store; one that is both object and prefix comes once.
type pages struct {
	d      *dir // nil when done or closed
	m      *mount
	prefix string
	seq    int64 // changes up to here are in the listing for certain
	at     time.Time
	ask    func(token string) chan pageResult
	next   chan pageResult // the page asked for ahead; nil at the end
	cancel context.CancelFunc
	once   bool             // one page, and no more
	number int              // of the page that was given last
	marker bool             // the directory's own was among them
	shadow []string         // names of objects that a later prefix may shadow
	all    map[string]entry // what came so far; nil once it is too much
}

type pageResult struct {
	page objstore.ListPage
	err  error
}

// read begins a listing. The pages are asked for one ahead, until done or close.
func (d *dir) read(prefix string) *pages { return d.readUpTo(prefix, 0) }

// readUpTo is read of one page with so many entries, unless most is 0.
func (d *dir) readUpTo(prefix string, most int) *pages {
	ctx, cancel := context.WithCancel(context.Background())
	d.mu.Lock()
	d.listings++
	p := &pages{d: d, m: d.m, prefix: prefix, seq: d.seq, at: time.Now(), cancel: cancel, all: map[string]entry{}, once: most > 0}
	d.mu.Unlock()
	p.ask = func(token string) chan pageResult {
		next := make(chan pageResult, 1)
		go func() {
			page, err := d.m.store.List(ctx, objstore.ListRequest{Prefix: prefix, Delim: "/", Token: token, Max: most})
			next <- pageResult{page, err}
		}()
		return next
	}
	p.next = p.ask("")
	return p
}

// page gives the entries of the next page; more is false after the last.
func (p *pages) page(ctx context.Context) (ents []entry, more bool, err error) {
	if p.next == nil {
		return nil, false, nil
	}
	var r pageResult
	select {
	case r = <-p.next:
	case <-ctx.Done():
		return nil, true, ctx.Err()
	}
	p.next = nil
	if r.err != nil {
		return nil, false, r.err
	}
	switch {
	case r.page.Next == "":
	case p.once:
		p.all, more = nil, true
	default:
		p.next, more = p.ask(r.page.Next), true
	}
	p.number++
	ents = p.entries(r.page)
	if p.all != nil {
		for _, e := range ents {
			p.all[e.name] = e
		}
		if len(p.all) > maxListing {
			p.all = nil
		}
	}
	if p.next == nil {
		p.finish()
	}
	return ents, more, nil
}

// entries merges the objects and prefixes of a page.
func (p *pages) entries(page objstore.ListPage) []entry {
	bare := []*objstore.Object{}
	for i := range page.Objects {
		if !page.Objects[i].MetadataKnown {
			bare = append(bare, &page.Objects[i])
		}
	}
	p.d.recall(p.prefix, bare)
	ents := make([]entry, 0, len(page.Objects)+len(page.Prefixes))
	hidden := 0
	for _, o := range page.Objects {
		name := o.Key[len(p.prefix):]
		switch {
		case name == "": // the directory's own marker
			p.marker = true
			p.d.sawMarker(o, p.at)
		case !keypath.Shown(p.prefix, name):
			hidden++
		default:
			ents = append(ents, entry{name: name, obj: o, asOf: p.at})
		}
	}
	for _, pre := range page.Prefixes {
		name := strings.TrimSuffix(pre[len(p.prefix):], "/")
		switch {
		case p.prefix == "" && name == keypath.Private:
		case !keypath.Shown(p.prefix, name):
			hidden++
		default:
			ents = append(ents, entry{name: name, isDir: true})
		}
	}
	// It comes before all that is below it.
	if !p.marker && p.prefix != "" && p.number == 1 && (page.Next == "" || p.m.store.Caps().SortedList) {
		p.d.sawNoMarker(p.at)
	}
	slices.SortStableFunc(ents, func(a, b entry) int { return cmp.Compare(a.sortKey(), b.sortKey()) })
	ents, more := p.unshadow(ents)
	p.m.countHidden(p.prefix, hidden+more)
	return ents
}

func (e entry) sortKey() string {
	if e.isDir {
		return e.name + "/"
	}
	return e.name
}

// unshadow drops the second of an object and a prefix of one name. Where both
// are in this page the directory stays; across pages what came first stays, and
// the next look at the name tells that it is a directory.
func (p *pages) unshadow(ents []entry) ([]entry, int) {
	isDir := map[string]bool{}
	for _, e := range ents {
		if e.isDir {
			isDir[e.name] = true
		}
	}
	hidden := 0
	out := ents[:0]
	for _, e := range ents {
		for len(p.shadow) > 0 && !strings.HasPrefix(e.name, p.shadow[len(p.shadow)-1]) {
			p.shadow = p.shadow[:len(p.shadow)-1]
		}
		switch {
		case !e.isDir && isDir[e.name]:
			hidden++
			continue
		case e.isDir && slices.Contains(p.shadow, e.name):
			hidden++
			if p.all != nil {
				p.all[e.name] = e
			}
			continue
		case !e.isDir:
			p.shadow = append(p.shadow, e.name)
		}
		out = append(out, e)
	}
	return out, hidden
}

// finish remembers a whole listing.
func (p *pages) finish() {
	d := p.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if p.all != nil && d.m.tree.prefix(d) == p.prefix { // not renamed meanwhile
		l := &listing{at: p.at, until: p.at.Add(d.m.opt.AttrTTL), entries: p.all}
		for _, c := range d.changes {
			if c.seq > p.seq {
				l.apply(c)
			}
		}
		if d.known == nil || d.known.at.Before(l.at) {
			d.known = l
		}
		d.recalled.prune(l.entries)
	}
	p.release()
}

// release must be called with d.mu held.
func (p *pages) release() {
	if p.d == nil {
		return
	}
	p.d.listings--
	if p.d.listings == 0 {
		p.d.changes = nil
	}
	p.d = nil
}

// close ends a listing that may not have been read to its end.
func (p *pages) close() {
	p.cancel()
	if d := p.d; d != nil {
		d.mu.Lock()
		p.release()
		d.mu.Unlock()
	}
}

// changedSince says what we did to the name after the listing began.
func (p *pages) changedSince(name string) (c change, ok bool) {
	d := p.d
	if d == nil {
		return change{}, false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range slices.Backward(d.changes) {
		if c.seq > p.seq && c.name == name {
			return c, true
		}
	}
	return change{}, false
}

// load reads the whole directory, unless it is too large to remember. Callers
// that come while one is under way share it.
func (d *dir) load(ctx context.Context) error {
	d.mu.Lock()
	if l := d.loading; l != nil {
		d.mu.Unlock()
		select {
		case <-l.done:
			if errors.Is(l.err, context.Canceled) && ctx.Err() == nil {
				return d.load(ctx) // the one that was reading was killed
			}
			return l.err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	l := &loading{done: make(chan struct{})}
	d.loading = l
	d.mu.Unlock()

	l.err = d.loadNow(ctx)
	d.mu.Lock()
	d.loading = nil
	d.mu.Unlock()
	close(l.done)
	return l.err
}

type loading struct {
	done chan struct{}
	err  error
}

// loadNow reads no more pages than there were lookups to justify them: if the
// directory has more, it is remembered that it does.
func (d *dir) loadNow(ctx context.Context) error {
	prefix, release, err := d.m.tree.leaseIn(ctx, d)
	if err != nil {
		return err
	}
	defer release()
	d.mu.Lock()
	worth := max(d.misses, 1)
	d.misses = 0
	d.mu.Unlock()
	p := d.read(prefix)
	defer p.close()
	for n := 1; ; n++ {
		_, more, err := p.page(ctx)
		if err != nil {
			return err
		}
		d.mu.Lock()
		d.pages = n
		if more {
			d.pages = n + 1
		}
		if p.all == nil {
			d.pages = math.MaxInt // too large to remember
		}
		d.mu.Unlock()
		if !more || n >= worth || p.all == nil {
			return nil
		}
	}
}
