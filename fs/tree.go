package fs

import (
	"context"
	"sync"
)

// place is where a node is in the tree. Its fields are guarded by tree.mu.
type place struct {
	parent   *dir // nil for the root
	name     string
	unlinked bool // no name leads here any more

	// Of directories:
	leases int           // leases on this directory and on all below it
	idle   chan struct{} // closed when leases falls to 0, if somebody waits
	moving chan struct{} // closed when the rename under way ends; nil if none
}

// tree knows the places of all nodes of a mount.
type tree struct {
	mu sync.Mutex
}

// lease waits until no directory above any of the places is being renamed, then
// holds them all where they are until release. Several places must be asked for
// in one call: a lease held while another is waited for would block a rename
// that waits for the first. prefixes are those of the directories that the
// places are in.
func (t *tree) lease(ctx context.Context, places ...*place) (prefixes []string, release func(), err error) {
	for {
		t.mu.Lock()
		moving := t.movingAbove(places)
		if moving == nil {
			break
		}
		t.mu.Unlock()
		select {
		case <-moving:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
	defer t.mu.Unlock()
	var held []*dir
	for _, p := range places {
		prefix := ""
		for d := p.parent; d != nil; d = d.place.parent {
			d.place.leases++
			held = append(held, d)
			if d.place.parent != nil {
				prefix = d.place.name + "/" + prefix
			}
		}
		prefixes = append(prefixes, prefix)
	}
	return prefixes, sync.OnceFunc(func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		for _, d := range held {
			d.place.leases--
			if d.place.leases == 0 && d.place.idle != nil {
				close(d.place.idle)
				d.place.idle = nil
			}
		}
	}), nil
}

// leaseIn is lease for something in the directory d; prefix is that of d.
func (t *tree) leaseIn(ctx context.Context, d *dir) (prefix string, release func(), err error) {
	prefixes, release, err := t.lease(ctx, &place{parent: d})
	if err != nil {
		return "", nil, err
	}
	return prefixes[0], release, nil
}

func (t *tree) movingAbove(places []*place) chan struct{} {
	for _, p := range places {
		for d := p.parent; d != nil; d = d.place.parent {
			if d.place.moving != nil {
				return d.place.moving
			}
		}
	}
	return nil
}

// beginMove keeps all new leases below d waiting and waits for those held.
// The caller must hold none below d itself.
func (t *tree) beginMove(ctx context.Context, d *dir) (end func(), err error) {
	p := &d.place
	t.mu.Lock()
	for p.moving != nil {
		moving := p.moving
		t.mu.Unlock()
		select {
		case <-moving:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		t.mu.Lock()
	}
	moving := make(chan struct{})
	p.moving = moving
	end = func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		p.moving = nil
		close(moving)
	}
	for p.leases > 0 {
		if p.idle == nil {
			p.idle = make(chan struct{})
		}
		idle := p.idle
		t.mu.Unlock()
		select {
		case <-idle:
		case <-ctx.Done():
			end()
			return nil, ctx.Err()
		}
		t.mu.Lock()
	}
	t.mu.Unlock()
	return end, nil
}

// move puts a node into another place.
func (t *tree) move(p *place, parent *dir, name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p.parent, p.name = parent, name
}

func (t *tree) unlink(p *place) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p.unlinked = true
}

func (t *tree) isUnlinked(p *place) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return p.unlinked
}

// at says where a node is now.
func (t *tree) at(p *place) (parent *dir, name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return p.parent, p.name
}

// path is the key of a node now, for messages.
func (t *tree) path(p *place) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := p.name
	for d := p.parent; d != nil && d.place.parent != nil; d = d.place.parent {
		key = d.place.name + "/" + key
	}
	return key
}

// prefix is that of a directory now.
func (t *tree) prefix(d *dir) string {
	if path := t.path(&d.place); path != "" {
		return path + "/"
	}
	return ""
}

// turn is a semaphore of one, waited for with a context.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

func (s turn) lock(ctx context.Context) error {
	select {
	case s <- struct{}{}:
		return nil
	default:
	}
	select {
	case s <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s turn) unlock() { <-s }
