package gcsstore

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"cloud.google.com/go/storage"
	gax "github.com/googleapis/gax-go/v2"
)

// tries watches the retries of one call. Where a try got no answer the service
// may have carried it out, so that the next one meets its own doing.
type tries struct{ lost atomic.Bool }

// again is the SDK's judgement of an error.
func (t *tries) again(err error) bool {
	if !storage.ShouldRetry(err) || errors.Is(err, errBody) {
		return false
	}
	t.lost.Store(true)
	return true
}

func (s *Store) backoff() gax.Backoff {
	return gax.Backoff{Initial: 250 * time.Millisecond, Max: s.cfg.Retry.MaxDelay, Multiplier: 2}
}

// retryer lets the SDK try every call again, also those that the service does
// not promise to do once only: what that may do is settled by the callers.
func (s *Store) retryer(t *tries) []storage.RetryOption {
	return []storage.RetryOption{
		storage.WithPolicy(storage.RetryAlways),
		storage.WithBackoff(s.backoff()),
		storage.WithMaxAttempts(s.cfg.Retry.Attempts),
		storage.WithErrorFunc(t.again),
	}
}

// retry is the SDK's loop for what the SDK does not try again: requests whose
// body is streamed, and those made without it.
func (s *Store) retry(ctx context.Context, t *tries, call func() error) error {
	b := s.backoff()
	for n := 1; ; n++ {
		err := call()
		if err == nil || ctx.Err() != nil || !t.again(err) || n >= s.cfg.Retry.Attempts {
			return err
		}
		if gax.Sleep(ctx, b.Pause()) != nil {
			return err
		}
	}
}
