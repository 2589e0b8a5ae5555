package open

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/azstore"
)

var azureParams = []string{"account", "endpoint", "account-key", "key", "sas", "connection-string", "credentials", "anonymous", "ca-file"}

func (src *source) parseAzure(u *url.URL) error {
	c := &src.azure
	c.Container = u.Host
	switch {
	case c.Container == "":
		return fmt.Errorf("%s:// names no container: write %s://container?account=name", u.Scheme, u.Scheme)
	case u.Port() != "":
		return fmt.Errorf("%s://%s names a port: what follows %s:// is the container, and a server goes into ?endpoint=", u.Scheme, u.Host, u.Scheme)
	}
	q, err := params(u, azureParams)
	if err != nil {
		return err
	}
	c.Account, c.SAS, c.ConnectionString, c.CABundle = q["account"], q["sas"], q["connection-string"], q["ca-file"]
	c.AccountKey, c.CredentialsFile = q["account-key"], q["credentials"]
	if c.AccountKey == "" {
		c.AccountKey = q["key"]
	}
	if q["endpoint"] != "" {
		if c.Endpoint, err = endpoint(q["endpoint"]); err != nil {
			return err
		}
	}
	if v, given := q["anonymous"]; given {
		if c.Anonymous, err = strconv.ParseBool(v); err != nil {
			return errors.New("anonymous is true or false")
		}
	}
	src.prefix, err = prefix(u.Path)
	return err
}

func openAzure(ctx context.Context, src source, opt Options) (objstore.Store, error) {
	c := src.azure
	c.ConnectTimeout, c.RequestTimeout, c.Retry, c.Limits, c.Log = opt.ConnectTimeout, opt.RequestTimeout, opt.Retry, opt.Limits, opt.Log
	s, err := azstore.New(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := ensure(ctx, s, opt); err != nil {
		s.Close()
		return nil, err
	}
	opt.offer(s)
	return objstore.WithPrefix(s, src.prefix), nil
}
