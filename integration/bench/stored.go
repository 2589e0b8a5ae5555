package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// waitStored returns when the bucket holds what the row wrote. The lag is how
// long it did not, after the program had ended: 0 where close(2) or fsync(2)
// waits for the commit.
func waitStored(ctx context.Context, c client, r row) (lag time.Duration, err error) {
	begin := time.Now()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := r.stored(ctx, c)
		if !errors.Is(err, errNotStored) {
			return lag, err
		}
		select {
		case <-tick.C:
			lag = time.Since(begin)
		case <-ctx.Done():
			return 0, fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
	}
}
