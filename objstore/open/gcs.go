package open

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/gcsstore"
)

var gcsParams = []string{"endpoint", "credentials", "anonymous", "impersonate", "user-project", "project", "one-stream", "ca-file"}

func (src *source) parseGCS(u *url.URL) error {
	c := &src.gcs
	c.Bucket = u.Host
	switch {
	case c.Bucket == "":
		return fmt.Errorf("%s:// names no bucket: write %s://bucket", u.Scheme, u.Scheme)
	case u.Port() != "":
		return fmt.Errorf("%s://%s names a port: what follows %s:// is the bucket, and a server goes into ?endpoint=", u.Scheme, u.Host, u.Scheme)
	}
	q, err := params(u, gcsParams)
	if err != nil {
		return err
	}
	c.Endpoint, c.CABundle = q["endpoint"], q["ca-file"]
	if text := q["credentials"]; strings.HasPrefix(strings.TrimSpace(text), "{") {
		c.CredentialsJSON = []byte(text)
	} else {
		c.CredentialsFile = text
	}
	c.ImpersonateServiceAccount, c.UserProject, c.Project = q["impersonate"], q["user-project"], q["project"]
	if c.Endpoint != "" {
		if c.Endpoint, err = endpoint(c.Endpoint); err != nil {
			return err
		}
	}
	for name, on := range map[string]*bool{"anonymous": &c.Anonymous, "one-stream": &c.OneStream} {
		v, given := q[name]
		if !given {
			continue
		}
		if *on, err = strconv.ParseBool(v); err != nil {
			return errors.New(name + " is true or false")
		}
	}
	if src.prefix, err = prefix(u.Path); err != nil {
		return err
	}
	// Below the prefix, which may be all that the account may write to.
	c.Private = src.prefix + gcsstore.DefaultPrivate
	return nil
}

func openGCS(ctx context.Context, src source, opt Options) (objstore.Store, error) {
	c := src.gcs
	c.ConnectTimeout, c.RequestTimeout, c.Retry, c.Limits, c.Log = opt.ConnectTimeout, opt.RequestTimeout, opt.Retry, opt.Limits, opt.Log
	if opt.StateDir != "" && !opt.ReadOnly {
		c.StateDir = filepath.Join(opt.StateDir, "gcs-uploads")
	}
	s, err := gcsstore.New(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := ensure(ctx, s, opt); err != nil {
		s.Close()
		return nil, err
	}
	if !opt.ReadOnly {
		if err := probe(ctx, s, src.prefix); err != nil {
			s.Close()
			return nil, err
		}
	}
	opt.offer(s)
	return objstore.WithPrefix(s, src.prefix), nil
}
