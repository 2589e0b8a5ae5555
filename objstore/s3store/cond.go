package s3store

import (
	"context"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/pailfs/pailfs/objstore"
)

// headers are a condition as S3 takes it; nil leaves a header out.
type headers struct{ ifMatch, ifNoneMatch *string }

// conditions returns the headers of cond. Where the endpoint is not known to
// honour them it looks at the object first: that leaves a moment in which
// somebody else may write, which is why Caps does not promise the condition.
func (s *Store) conditions(ctx context.Context, op, key string, cond objstore.Cond, a answer) (headers, error) {
	if cond.IsZero() {
		return headers{}, nil
	}
	if a != honoured {
		if err := s.checkCond(ctx, op, key, cond); err != nil {
			return headers{}, err
		}
	}
	if a == refused {
		return headers{}, nil
	}
	return condHeaders(cond), nil
}

func condHeaders(cond objstore.Cond) (h headers) {
	if cond.Absent {
		h.ifNoneMatch = aws.String("*")
	}
	if cond.Version != "" {
		h.ifMatch = aws.String(quote(cond.Version))
	}
	return h
}

func (s *Store) checkCond(ctx context.Context, op, key string, cond objstore.Cond) error {
	o, err := s.head(ctx, op, key, "")
	switch {
	case errors.Is(err, objstore.ErrNotFound):
		if cond.Version == "" {
			return nil
		}
	case err != nil:
		return err
	case !cond.Absent && o.Version == cond.Version:
		return nil
	}
	return &objstore.Error{Op: op, Key: key, Kind: objstore.ErrCond}
}

// version is an ETag without its quotes: some stores leave them out in listings.
func version(etag *string) objstore.Version {
	v := aws.ToString(etag)
	if len(v) >= 2 && v[0] == '"' && v[len(v)-1] == '"' {
		v = v[1 : len(v)-1]
	}
	return objstore.Version(v)
}

// quote makes an ETag of a version again.
func quote(v objstore.Version) string {
	if strings.HasPrefix(string(v), `W/"`) {
		return string(v)
	}
	return `"` + string(v) + `"`
}
