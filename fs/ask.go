package fs

import (
	"context"
	"errors"
	"syscall"
	"time"

	"github.com/pailfs/pailfs/fs/keypath"
	"github.com/pailfs/pailfs/objstore"
)

const (
	// askAhead is how many entries that need a request each are asked for side
	// by side, when a program goes through a directory.
	askAhead = 64

	// answerAge is how old an answer may be that was asked for ahead, where
	// --attr-ttl is shorter.
	answerAge = time.Second

	// lookPage is how many entries of a directory are listed to learn whether it
	// has a marker: all of a small one, which is likely to be wanted next.
	lookPage = 256
)

// ask is a question for the attributes of one entry of a directory.
type ask struct {
	prefix string
	asOf   time.Time
	done   chan struct{}
	obj    objstore.Object // of a file
	sub    *dir            // of a directory; no node yet if the kernel has none
	err    error
}

// mustAsk reports whether what the listing says of an entry is not enough.
func (d *dir) mustAsk(e entry) bool {
	if !e.isDir {
		return !e.obj.MetadataKnown
	}
	sub, ok := ops[*dir](d.GetChild(e.name))
	return !ok || !sub.isFresh()
}

// askFor asks for the first of ents that must be asked for, as far as that was
// not done. All are in the directory d, whose prefix is given.
func (d *dir) askFor(ctx context.Context, prefix string, ents []entry) {
	n := 0
	for _, e := range ents {
		if n == askAhead {
			return
		}
		if d.mustAsk(e) {
			n++
			d.ask(ctx, prefix, e)
		}
	}
}

// ask asks for an entry, unless that was done a moment ago.
func (d *dir) ask(ctx context.Context, prefix string, e entry) *ask {
	child, _ := ops[*dir](d.GetChild(e.name))
	d.mu.Lock()
	defer d.mu.Unlock()
	limit := max(d.m.opt.AttrTTL, answerAge)
	if a := d.asks[e.name]; a != nil && a.prefix == prefix && time.Since(a.asOf) < limit {
		return a
	}
	if len(d.asks) > 4*askAhead { // a program that went elsewhere
		for name, a := range d.asks {
			if time.Since(a.asOf) >= limit {
				delete(d.asks, name)
			}
		}
	}
	a := &ask{prefix: prefix, asOf: time.Now(), done: make(chan struct{})}
	if d.asks == nil {
		d.asks = map[string]*ask{}
	}
	d.asks[e.name] = a
	ctx = context.WithoutCancel(ctx) // others may want the answer
	if !e.isDir {
		go func() {
			defer close(a.done)
			if a.obj, a.err = d.m.store.Stat(ctx, e.obj.Key); a.err == nil {
				d.learn(e.name, a.obj)
			}
		}()
		return a
	}
	if a.sub = child; child == nil || d.m.tree.isUnlinked(&child.place) {
		a.sub = d.m.newDir(d, e.name)
	}
	look := d.known.believed() && !d.statSubs
	go func() {
		defer close(a.done)
		a.err = a.sub.learnMarker(ctx, keypath.Dir(prefix, e.name), look)
	}()
	return a
}

// answer waits for the attributes of an entry. The answer is this caller's alone.
func (d *dir) answer(ctx context.Context, prefix string, e entry) (*ask, error) {
	for {
		a := d.ask(ctx, prefix, e)
		select {
		case <-a.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		d.mu.Lock()
		mine := d.asks[e.name] == a
		if mine {
			delete(d.asks, e.name)
		}
		d.mu.Unlock()
		switch {
		case !mine:
		case errors.Is(a.err, objstore.ErrNotFound):
			return nil, syscall.ENOENT
		case a.err != nil:
			return nil, a.err
		case !e.isDir && a.asOf.Before(e.asOf) && !sameListed(e.obj, a.obj):
			// The listing is newer than the answer.
		default:
			return a, nil
		}
	}
}

// learnMarker learns whether d, which may have no node yet, has a marker, and
// its attributes: with look from the first entries of its listing, which a
// program that goes through the tree wants next.
func (d *dir) learnMarker(ctx context.Context, prefix string, look bool) error {
	if look {
		enough, err := d.look(ctx, prefix)
		if err != nil {
			return err
		}
		if parent, _ := d.m.tree.at(&d.place); !enough && parent != nil {
			parent.mu.Lock()
			parent.statSubs = true // it saves nothing here
			parent.mu.Unlock()
		}
	}
	return d.loadMarker(ctx, prefix)
}

// look lists the beginning of the directory. It reports whether that was all
// that there is to know.
func (d *dir) look(ctx context.Context, prefix string) (enough bool, err error) {
	p := d.readUpTo(prefix, lookPage)
	defer p.close()
	at := p.at
	_, more, err := p.page(ctx)
	if err != nil {
		return false, err
	}
	d.mu.Lock()
	if !more && d.known != nil && d.known.at.Equal(at) {
		d.known.ahead = true
	}
	d.mu.Unlock()
	return !more && d.isFresh(), nil
}

// askNext is told that a name is looked up of which the store must be asked,
// and asks for those that follow if the program goes through the directory.
func (d *dir) askNext(ctx context.Context, prefix, name string) {
	d.mu.Lock()
	var ents []entry
	if d.known.believed() {
		if all := d.known.inOrder(prefix); all != nil {
			best, n := d.looking.next(all, name)
			if n >= 2 {
				from := all[best].place[name] + 1
				for _, name := range all[best].names[from:min(from+2*askAhead, len(all[best].names))] {
					ents = append(ents, d.known.entries[name])
				}
			}
		}
	}
	d.mu.Unlock()
	d.askFor(ctx, prefix, ents)
}
