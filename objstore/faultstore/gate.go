package faultstore

import (
	"context"
	"sync"
)

// Gate holds calls until it is released.
type Gate struct {
	mu      sync.Mutex
	arrived int
	changed chan struct{} // closed and renewed at each arrival
	open    chan struct{}
	once    sync.Once
}

// NewGate returns a closed gate.
func NewGate() *Gate {
	return &Gate{changed: make(chan struct{}), open: make(chan struct{})}
}

// Release lets all calls pass, those that wait and those to come.
func (g *Gate) Release() { g.once.Do(func() { close(g.open) }) }

// Await waits until n calls in all have come to the gate.
func (g *Gate) Await(ctx context.Context, n int) error {
	for {
		g.mu.Lock()
		arrived, changed := g.arrived, g.changed
		g.mu.Unlock()
		if arrived >= n {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (g *Gate) pass(ctx context.Context) error {
	g.mu.Lock()
	g.arrived++
	close(g.changed)
	g.changed = make(chan struct{})
	g.mu.Unlock()
	select {
	case <-g.open:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
