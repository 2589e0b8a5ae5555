package main

import (
	"context"
	"log/slog"

	"github.com/pailfs/pailfs/mountopts"
	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/countstore"
	"github.com/pailfs/pailfs/objstore/open"
)

// opened is the store of a mount, and what belongs to it.
type opened struct {
	objstore.Store
	counter *countstore.Counter
	reread  []func(context.Context) error // read the credentials again
}

// openStore opens the source and asks it one question, so that a wrong URL, a
// missing bucket and refused credentials are known before anything is mounted.
func openStore(ctx context.Context, o *mountopts.Options, log *slog.Logger) (*opened, error) {
	var s opened
	ctx, cancel := context.WithTimeout(ctx, o.ConnectTimeout)
	defer cancel()
	store, err := open.Open(ctx, o.URL(), open.Options{ReadOnly: o.ReadOnly, Create: o.CreateBucket, ConnectTimeout: o.ConnectTimeout, RequestTimeout: o.RequestTimeout(), StateDir: o.StateDir, Limits: limits(o), Log: log,
		OnReread: func(read func(context.Context) error) { s.reread = append(s.reread, read) }})
	if err != nil {
		return nil, explainOpen(ctx, o, err)
	}
	if err := open.Check(ctx, store); err != nil {
		store.Close()
		return nil, explainOpen(ctx, o, err)
	}
	s.Store, s.counter = countstore.Wrap(withMaxSize(store, o.MaxFileSize))
	return &s, nil
}
