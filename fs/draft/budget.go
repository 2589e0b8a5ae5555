package draft

import (
	"context"
	"slices"
	"sync"
)

// budget is a number of bytes that writers share. Those who find too little
// wait, first come first served.
type budget struct {
	max int64

	mu      sync.Mutex
	used    int64
	peak    int64
	waiters []*waiter
}

type waiter struct {
	n     int64
	ready chan error // buffered; nil: granted
}

// try takes n bytes if they are free and nobody waits.
func (b *budget) try(n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiters) > 0 || b.used+n > b.max {
		return false
	}
	b.take(n)
	return true
}

func (b *budget) take(n int64) {
	b.used += n
	b.peak = max(b.peak, b.used)
}

// acquire takes n bytes, waiting for them until ctx ends or done is closed.
// press is called when it has to wait.
func (b *budget) acquire(ctx context.Context, done <-chan struct{}, n int64, press func()) error {
	if b.try(n) {
		return nil
	}
	w := &waiter{n: n, ready: make(chan error, 1)}
	b.mu.Lock()
	b.waiters = append(b.waiters, w)
	b.grant()
	b.mu.Unlock()
	press()
	var err error
	select {
	case granted := <-w.ready:
		return granted
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-done:
		err = ErrDiscarded
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := slices.Index(b.waiters, w); i >= 0 {
		b.waiters = slices.Delete(b.waiters, i, i+1)
	} else if granted := <-w.ready; granted == nil {
		b.used -= n
	}
	b.grant()
	return err
}

func (b *budget) release(n int64) {
	if n == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
	b.grant()
}

// grant wakes the waiters that can go on. The caller holds mu.
func (b *budget) grant() {
	for len(b.waiters) > 0 && b.used+b.waiters[0].n <= b.max {
		b.take(b.waiters[0].n)
		b.waiters[0].ready <- nil
		b.waiters = b.waiters[1:]
	}
}

// wanted is how many bytes must come free for all who wait.
func (b *budget) wanted() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiters) == 0 {
		return 0
	}
	n := b.used - b.max
	for _, w := range b.waiters {
		n += w.n
	}
	return max(n, 1)
}

// fail ends the wait of the first waiter with err.
func (b *budget) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiters) > 0 {
		b.waiters[0].ready <- err
		b.waiters = b.waiters[1:]
		b.grant()
	}
}
