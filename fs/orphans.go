package fs

import (
	"context"
	"fmt"
	"time"

	"github.com/pailfs/pailfs/internal/registry"
	"github.com/pailfs/pailfs/objstore"
)

// watchOrphans remembers in the state directory which private keys are this
// mount's, and removes in the background what mounts of the same source left
// behind when they died: private objects, unfinished uploads.
func (m *mount) watchOrphans() error {
	if m.opt.StateDir == "" || m.opt.ReadOnly {
		return nil
	}
	dir := m.stateDir("private")
	reg, err := registry.Open(dir)
	if err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	if err := reg.Begin(m.private); err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	m.registry = reg
	// Renames come and go: a file of their own is empty most of the time.
	if m.moves, err = registry.Open(dir); err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	begun := time.Now()
	ctx, cancel := context.WithCancel(context.Background())
	m.stopCleaning = cancel
	m.late.Go(func() {
		if err := registry.Orphans(dir, func(entry string) error { return m.settleOrphan(ctx, entry) }); err != nil {
			m.log.Warn("what a dead mount had begun is left for the next one", "err", err)
		}
		c, ok := m.store.(objstore.Cleaner)
		if !ok {
			return
		}
		n, err := c.AbortStale(ctx, "", begun)
		if err != nil {
			m.log.Warn("unfinished uploads of a dead mount are left for the next one", "err", err)
		}
		if n > 0 {
			m.log.Info("unfinished uploads of a dead mount were aborted", "count", n)
		}
	})
	return nil
}

// removeBelow removes every object below a private prefix.
func (m *mount) removeBelow(ctx context.Context, prefix string) error {
	n := 0
	for o, err := range objstore.ListAll(ctx, m.store, objstore.ListRequest{Prefix: prefix}) {
		if err != nil {
			return err
		}
		if err := m.store.Delete(ctx, o.Key, objstore.Cond{}); err != nil {
			return err
		}
		n++
	}
	if n > 0 {
		m.log.Info("private objects of a dead mount were removed", "count", n)
	}
	return nil
}
