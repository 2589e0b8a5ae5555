package fs

import (
	"context"

	"github.com/pailfs/pailfs/fs/keypath"
)

// walkAhead is how many directories are listed ahead of a program that goes
// through a tree.
const walkAhead = 16

// walkNext is told that the listing of a directory is asked for, and asks for
// those that follow it in its parent, if the program goes through them.
func (d *dir) walkNext(ctx context.Context) {
	parent, name := d.m.tree.at(&d.place)
	if parent == nil {
		return
	}
	prefix := d.m.tree.prefix(parent)
	for _, next := range parent.likelyDirs(prefix, name) {
		if sub, ok := ops[*dir](parent.GetChild(next)); ok && !d.m.tree.isUnlinked(&sub.place) {
			sub.listAhead(ctx, keypath.Dir(prefix, next))
		}
	}
}

func (d *dir) likelyDirs(prefix, name string) (next []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	names, _ := d.following(&d.walking, prefix, name)
	for _, n := range names {
		if len(next) == walkAhead {
			break
		}
		if d.known.entries[n].isDir {
			next = append(next, n)
		}
	}
	return next
}

// listAhead lists a directory before somebody asks, if it is known to be small.
func (d *dir) listAhead(ctx context.Context, prefix string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.known
	if d.listed != nil || l == nil || len(l.entries) >= lookPage || l.believed() || l.ahead {
		return
	}
	listed := make(chan struct{})
	d.listed = listed
	ctx = context.WithoutCancel(ctx)
	go func() {
		_, _ = d.look(ctx, prefix) // who wants the listing asks again, and is told
		d.mu.Lock()
		d.listed = nil
		d.mu.Unlock()
		close(listed)
	}()
}

// awaitAhead waits for a listing that was asked for ahead.
func (d *dir) awaitAhead(ctx context.Context) error {
	d.mu.Lock()
	listed := d.listed
	d.mu.Unlock()
	if listed == nil {
		return nil
	}
	select {
	case <-listed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
