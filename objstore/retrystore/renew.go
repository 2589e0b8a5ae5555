package retrystore

import (
	"context"
	"time"
)

// renewPause is the least time between two readings of the credentials: many
// calls are refused at once, and token services mind being asked by each.
const renewPause = 2 * time.Second

// renewal is when the credentials were read last.
type renewal struct {
	turn chan struct{} // holds one element while somebody reads
	last time.Time     // guarded by turn
}

func newRenewal() renewal { return renewal{turn: make(chan struct{}, 1)} }

// renew reads the credentials again, or waits for another call that does.
func (r *renewal) renew(ctx context.Context, opt Options) {
	if opt.Renew == nil {
		return
	}
	select {
	case r.turn <- struct{}{}:
	case <-ctx.Done():
		return
	}
	defer func() { <-r.turn }()
	if !r.last.IsZero() && time.Since(r.last) < renewPause {
		return
	}
	if err := opt.Renew(ctx); err != nil {
		opt.Log.Warn("the credentials cannot be read again, the old ones stay", "err", err)
	} else {
		opt.Log.Info("the credentials were read again, for they were refused")
	}
	r.last = time.Now()
}
