package open

import (
	"context"
	"fmt"

	"github.com/pailfs/pailfs/objstore"
)

// Describe says how the bucket behind a URL is set up. A store that does not
// tell is ErrUnsupported.
func Describe(ctx context.Context, rawURL string, opt Options) (objstore.Settings, error) {
	src, err := parse(rawURL)
	if err != nil {
		return objstore.Settings{}, err
	}
	src.prefix = "" // settings are those of the whole bucket
	opt.ReadOnly, opt.StateDir = true, ""
	s, err := openSource(ctx, src, opt)
	if err != nil {
		return objstore.Settings{}, err
	}
	defer s.Close()
	d, ok := s.(interface {
		Describe(ctx context.Context) (objstore.Settings, error)
	})
	if !ok {
		return objstore.Settings{}, fmt.Errorf("%s: %w", src.scheme, objstore.ErrUnsupported)
	}
	return d.Describe(ctx)
}
