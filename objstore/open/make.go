package open

import (
	"context"
	"errors"
	"fmt"

	"github.com/pailfs/pailfs/objstore"
)

// A maker can make what its store is: a bucket, a container.
type maker interface {
	Make(ctx context.Context) error
}

// ensure makes what a store is, if that is missing and wanted. Whatever else is
// wrong with it is left to the first real request.
func ensure(ctx context.Context, s objstore.Store, opt Options) error {
	if !opt.Create || !errors.Is(Check(ctx, s), objstore.ErrNotFound) {
		return nil
	}
	m, ok := s.(maker)
	if !ok {
		return fmt.Errorf("%T cannot make what is missing", s)
	}
	err := m.Make(ctx)
	if err != nil && Check(ctx, s) == nil { // somebody else was quicker
		return nil
	}
	return explain(err, "create")
}
