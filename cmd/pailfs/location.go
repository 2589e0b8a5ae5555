package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/pailfs/pailfs/mountopts"
	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/open"
)

// location is a place in a store, as ls, du, cp and rm are given it.
type location struct {
	dir  string // URL of the part of the store that it is in, without a query
	key  string // below it: the name of an object, of a prefix, or "" for all
	rest string // the query of the URL
	name string // last element of the path; "" for a whole bucket

	// contents is set where the path ended in a slash.
	contents bool

	// plain is set for a local directory that is no store: it is not made one.
	plain bool
}

// privateDir is what makes a local directory a store; see objstore/dirstore.
const privateDir = ".pailfs-store"

// locate reads SCHEME://BUCKET/DIRECTORY/NAME?QUERY, or the path of a local file
// or directory. What ends in a slash, and a directory, names all that is in it.
func locate(raw string) (location, error) {
	local := !strings.Contains(raw, "://")
	if local {
		abs, err := filepath.Abs(raw)
		if err != nil {
			return location{}, err
		}
		if strings.HasSuffix(raw, "/") {
			abs += "/"
		}
		raw = (&url.URL{Scheme: "file", Path: abs}).String()
	}
	u, err := url.Parse(raw)
	if err != nil {
		return location{}, fmt.Errorf("%q is not a URL: write it as s3://bucket/key", mountopts.Redact(raw))
	}
	l := location{rest: u.RawQuery}
	u.RawQuery, u.Fragment = "", ""
	l.contents = strings.HasSuffix(u.Path, "/")
	if u.Scheme == "file" {
		if fi, err := os.Stat(u.Path); err == nil && fi.IsDir() && !strings.HasSuffix(u.Path, "/") {
			u.Path += "/"
		}
	}
	if l.name = path.Base(u.Path); l.name == "/" || l.name == "." {
		l.name = ""
	}
	if i := strings.LastIndexByte(u.Path, '/'); i >= 0 {
		u.Path, l.key = u.Path[:i], u.Path[i+1:]
		u.RawPath = ""
	}
	if u.Scheme == "file" {
		store := true
		u.Path, l.key, store = storeRoot(u.Path, l.key)
		l.plain = local && !store
	}
	l.dir = u.String()
	return l, nil
}

// storeRoot finds the local directory, the given one or one above it, that is a
// store, and says whether there is one. Without one it is the given one.
func storeRoot(dir, key string) (root, below string, found bool) {
	dir = filepath.Clean("/" + dir)
	root, below = dir, key
	for {
		if fi, err := os.Stat(filepath.Join(root, privateDir)); err == nil && fi.IsDir() {
			return root, below, true
		}
		if root == "/" {
			return dir, key, false
		}
		below = filepath.Base(root) + "/" + below
		root = filepath.Dir(root)
	}
}

// String is the location as one can be given it again, without secrets.
func (l location) String() string { return mountopts.Redact(l.dir) + "/" + l.key }

// path is that of the local directory that a location is in.
func (l location) path() string {
	u, err := url.Parse(l.dir)
	if err != nil {
		return ""
	}
	return u.Path
}

// isDirectory says whether a location names all that is somewhere.
func (l location) isDirectory() bool { return l.key == "" || strings.HasSuffix(l.key, "/") }

// prefix is that of the keys below a location.
func (l location) prefix() string {
	if l.isDirectory() {
		return l.key
	}
	return l.key + "/"
}

// wholeBucket says whether a location is all of a bucket.
func (l location) wholeBucket() bool {
	u, err := url.Parse(l.dir)
	return err == nil && l.key == "" && u.Scheme != "file" && strings.Trim(u.Path, "/") == ""
}

// below is the URL, without secrets, of a key of the store that l is in.
func (l location) below(key string) string {
	l.key = key
	return l.String()
}

// sameStore says whether two locations are in one bucket, seen the same way.
func (l location) sameStore(m location) bool {
	a, aerr := url.Parse(l.dir)
	b, berr := url.Parse(m.dir)
	if aerr != nil || berr != nil || l.rest != m.rest || a.Scheme != b.Scheme || a.Host != b.Host || a.User.String() != b.User.String() {
		return false
	}
	return a.Scheme != "file" || a.Path == b.Path
}

// openLocation opens the store that a location is in.
func openLocation(ctx context.Context, l location, readOnly, create bool) (objstore.Store, *mountopts.Options, error) {
	o := mountopts.New()
	if err := o.LoadEnv(os.Environ()); err != nil {
		return nil, nil, usage(err)
	}
	o.ReadOnly = readOnly
	source := l.dir
	if l.rest != "" {
		source += "?" + l.rest
	}
	if err := finishFor(o, source); err != nil {
		return nil, nil, usage(err)
	}
	ctx, cancel := context.WithTimeout(ctx, o.ConnectTimeout)
	defer cancel()
	s, err := open.Open(ctx, o.URL(), open.Options{
		ReadOnly: readOnly, Create: create, ConnectTimeout: o.ConnectTimeout, Limits: limits(o), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, nil, scrubbed(o, explainOpen(ctx, o, err))
	}
	if l.plain {
		return &plainDirectory{s, filepath.Join(l.path(), privateDir)}, o, nil
	}
	return s, o, nil
}

// plainDirectory is a local directory that is a store for the moment only.
type plainDirectory struct {
	objstore.Store
	private string
}

func (p *plainDirectory) Close() error { return errors.Join(p.Store.Close(), os.RemoveAll(p.private)) }
