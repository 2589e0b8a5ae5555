package open

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/pailfs/pailfs/objstore/azstore"
	"github.com/pailfs/pailfs/objstore/gcsstore"
	"github.com/pailfs/pailfs/objstore/s3store"
)

const (
	schemes = "file:///dir, s3://bucket, gs://bucket, azure://container, minio://bucket, or r2, b2, wasabi or spaces"

	minioEndpoint = "http://127.0.0.1:9000" // where `minio server` listens unless told otherwise
)

// A source is a URL, understood.
type source struct {
	scheme string
	dir    string          // file
	s3     s3store.Config  // s3, minio, r2, b2, wasabi, spaces
	gcs    gcsstore.Config // gs, gcs
	azure  azstore.Config  // azure, azblob, az
	prefix string          // of keys; empty, or it ends in "/"
}

// parse reads a URL. Its errors repeat no part of it that may be a secret.
func parse(raw string) (source, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme == "" {
		return source{}, errors.New("the source is not a URL: write " + schemes)
	}
	src := source{scheme: u.Scheme}
	if u.Opaque != "" || !strings.HasPrefix(raw[len(u.Scheme):], "://") {
		return src, fmt.Errorf("write two slashes after %s:, as in %s", u.Scheme, schemes)
	}
	if u.User != nil {
		return src, errors.New("the URL holds a user name or password: give credentials by environment or profile instead")
	}
	if u.Fragment != "" {
		return src, errors.New(`the URL holds a "#": write %23 if it belongs to the prefix`)
	}
	switch u.Scheme {
	case "file":
		return src, src.parseFile(u)
	case "gs", "gcs":
		return src, src.parseGCS(u)
	case "azure", "azblob", "az":
		return src, src.parseAzure(u)
	case "s3", "minio", "r2", "b2", "wasabi", "spaces":
		return src, src.parseS3(u)
	}
	return src, fmt.Errorf("%s:// is not supported: use %s", u.Scheme, schemes)
}

func (src *source) parseFile(u *url.URL) error {
	if u.Host != "" && u.Host != "localhost" {
		return fmt.Errorf("file://%s names a host: write file:/// and an absolute path", u.Host)
	}
	if u.Path == "" {
		return errors.New("file:// names no directory: write file:///dir")
	}
	src.dir = u.Path
	_, err := params(u, nil)
	return err
}

var s3Params = []string{"endpoint", "region", "profile", "path-style", "ca-file",
	"access-key-id", "secret-access-key", "session-token", "anonymous"}

func (src *source) parseS3(u *url.URL) error {
	c := &src.s3
	c.Bucket = u.Host
	switch {
	case c.Bucket == "":
		return fmt.Errorf("%s:// names no bucket: write %s://bucket", u.Scheme, u.Scheme)
	case u.Port() != "" || strings.HasSuffix(u.Host, ":"):
		return fmt.Errorf("%s://%s names a port: what follows %s:// is the bucket, and a server goes into ?endpoint=", u.Scheme, u.Host, u.Scheme)
	}
	known := s3Params
	if u.Scheme == "r2" {
		known = append(r2Params, s3Params...)
	}
	q, err := params(u, known)
	if err != nil {
		return err
	}
	c.Endpoint, c.Region, c.Profile, c.CABundle = q["endpoint"], q["region"], q["profile"], q["ca-file"]
	c.AccessKey, c.SecretKey, c.SessionToken = q["access-key-id"], q["secret-access-key"], q["session-token"]
	if v, given := q["anonymous"]; given {
		if c.Anonymous, err = strconv.ParseBool(v); err != nil {
			return errors.New("anonymous is true or false")
		}
	}
	if c.Endpoint != "" {
		if c.Endpoint, err = endpoint(c.Endpoint); err != nil {
			return err
		}
	}
	if v, given := q["path-style"]; given {
		on, err := strconv.ParseBool(v)
		if err != nil {
			return errors.New("path-style is true or false")
		}
		c.PathStyle = &on
	}
	switch u.Scheme {
	case "s3":
	case "minio":
		if c.Endpoint == "" {
			c.Endpoint = minioEndpoint
		}
		if c.Region == "" {
			c.Region = "us-east-1" // MinIO's own, unless configured
		}
	case "r2":
		err = src.presetR2(q["account"], q["jurisdiction"])
	default:
		err = src.preset(presets[u.Scheme])
	}
	if err != nil {
		return err
	}
	src.prefix, err = prefix(u.Path)
	return err
}

// endpoint checks the URL of a server; without a scheme it is https.
func endpoint(e string) (string, error) {
	if !strings.Contains(e, "://") {
		e = "https://" + e
	}
	u, err := url.Parse(e)
	switch {
	case err != nil, u.Host == "", u.Scheme != "http" && u.Scheme != "https":
		return "", errors.New("the endpoint must look like https://host or http://host:port")
	case u.User != nil:
		return "", errors.New("the endpoint holds a user name or password: give credentials by environment or profile instead")
	case u.RawQuery != "" || u.Fragment != "":
		return "", errors.New("the endpoint must look like https://host or http://host:port, with nothing behind")
	}
	return strings.TrimSuffix(e, "/"), nil
}

// params returns the query of u, whose names must all be known.
func params(u *url.URL, known []string) (map[string]string, error) {
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, errors.New(`the part of the URL after "?" is broken: write name=value&name=value, with %25 for a percent sign`)
	}
	values := map[string]string{}
	for name, v := range q {
		switch {
		case !slices.Contains(known, name) && len(known) == 0:
			return nil, fmt.Errorf("%s:// takes no parameter %q", u.Scheme, name)
		case !slices.Contains(known, name):
			return nil, fmt.Errorf("unknown parameter %q: %s:// takes %s", name, u.Scheme, strings.Join(known, ", "))
		case len(v) != 1:
			return nil, fmt.Errorf("parameter %q is given %d times", name, len(v))
		}
		values[name] = v[0]
	}
	return values, nil
}

// prefix makes the prefix of keys of the path of a URL.
func prefix(path string) (string, error) {
	p := strings.TrimPrefix(path, "/")
	if p == "" {
		return "", nil
	}
	p = strings.TrimSuffix(p, "/") + "/"
	for name := range strings.SplitSeq(strings.TrimSuffix(p, "/"), "/") {
		if name == "" || name == "." || name == ".." {
			return "", fmt.Errorf("the prefix %q has an empty, . or .. element: leave it out", p)
		}
	}
	return p, nil
}
