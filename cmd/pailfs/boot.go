package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/pailfs/pailfs/mountopts"
	"github.com/pailfs/pailfs/objstore"
)

// Pauses between two tries to reach a store: each is twice the one before.
const (
	firstPause = time.Second
	maxPause   = 10 * time.Second
)

// openPatiently is openStore again and again, until --mount-timeout is over, as
// long as what is missing may still come: the network, the service, credentials.
func openPatiently(ctx context.Context, o *mountopts.Options, log *slog.Logger) (*opened, error) {
	end := time.Now().Add(o.MountTimeout)
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		s, err := openStore(ctx, o, log)
		if err == nil || !mayCome(err) || ctx.Err() != nil || time.Now().Add(pause).After(end) {
			return s, err
		}
		log.Warn("the store cannot be reached yet: trying again", "in", pause, "for", time.Until(end).Round(time.Second), "err", err)
		notify(log, extend(pause+o.ConnectTimeout), status("waiting for the store: "+oneLine(err.Error())))
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, explainOpen(ctx, o, err)
		}
	}
}

// mayCome says whether an error may be gone in a while. Credentials that were
// refused stay so.
func mayCome(err error) bool {
	return errors.Is(err, objstore.ErrTransient) || errors.Is(err, objstore.ErrThrottled) || errors.Is(err, objstore.ErrNoCredentials)
}
