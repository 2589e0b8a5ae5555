package dirstore

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/pailfs/pailfs/objstore"
)

// Stat returns the object at key.
func (s *Store) Stat(ctx context.Context, key string) (objstore.Object, error) {
	if err := s.enter(ctx, "stat", key); err != nil {
		return objstore.Object{}, err
	}
	defer s.leave()
	p, err := at("stat", key)
	if err != nil {
		return objstore.Object{}, err
	}
	o, _, err := s.lookup(p)
	return o, readError("stat", key, err)
}

// readError classifies an error of reading; nil stays nil.
func readError(op, key string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errSidecar):
		return &objstore.Error{Op: op, Key: key, Kind: objstore.ErrChecksum, Err: err}
	}
	return classify(op, key, err)
}

// lookup finds the object at p, and its record without sums. Nothing is ENOENT.
func (s *Store) lookup(p place) (objstore.Object, record, error) {
	if p.marker {
		fd, _, err := s.descend(p.names, false)
		if err != nil {
			return objstore.Object{}, record{}, err
		}
		defer unix.Close(fd)
		return s.lookupMarker(fd, p)
	}
	dir, err := s.parent(p)
	if err != nil {
		return objstore.Object{}, record{}, err
	}
	defer unix.Close(dir)
	return s.lookupFile(dir, p.name(), p.key)
}

// lookupFile finds the file name in dir. A file that is replaced meanwhile is
// looked up again, so that metadata and bytes belong together.
func (s *Store) lookupFile(dir int, name, key string) (objstore.Object, record, error) {
	n, err := statAt(dir, name)
	for {
		if err == nil && !n.regular() {
			err = unix.ENOENT
		}
		if err != nil {
			return objstore.Object{}, record{}, err
		}
		r, found, err := s.readSidecar(n, n.version(), false)
		if !found && err == nil {
			again, err := statAt(dir, name)
			if err != nil {
				return objstore.Object{}, record{}, err
			}
			if again.version() != n.version() {
				n = again
				continue
			}
		}
		return r.object(key, n, n.version()), r, err
	}
}

// lookupMarker tells whether the open directory is a marker: one that was put,
// or one that holds nothing to be seen.
func (s *Store) lookupMarker(fd int, p place) (objstore.Object, record, error) {
	o, r, put, err := s.putMarker(fd, p.key)
	if err == nil && !put {
		var names []string
		if names, err = s.entries(fd, p.key); err == nil && len(names) > 0 {
			err = unix.ENOENT
		}
	}
	return o, r, err
}

// putMarker describes the open directory as a marker; put tells whether it was
// made one by a Put.
func (s *Store) putMarker(fd int, key string) (o objstore.Object, r record, put bool, err error) {
	n, err := statFD(fd)
	if err != nil {
		return o, r, false, err
	}
	v, err := dirVersion(fd)
	if err != nil {
		return o, r, false, err
	}
	r, put, err = s.readSidecar(n, v, false)
	return r.object(key, n, v), r, put, err
}

// check tells whether cond holds at p. The caller holds the lock of p.
func (s *Store) check(op string, p place, cond objstore.Cond) error {
	if cond.IsZero() {
		return nil
	}
	o, _, err := s.lookup(p)
	if errors.Is(err, errSidecar) {
		err = nil // the version is that of the file, not of its sidecar
	}
	found := err == nil
	switch {
	case err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENOTDIR) && !errors.Is(err, unix.ELOOP):
		return classify(op, p.key, err)
	case cond.Absent && found:
		return fail(op, p.key, objstore.ErrCond, "an object is there")
	case cond.Version != "" && !found:
		return fail(op, p.key, objstore.ErrCond, "no object is there")
	case cond.Version != "" && cond.Version != o.Version:
		return fail(op, p.key, objstore.ErrCond, "version is %q, not %q", o.Version, cond.Version)
	}
	return nil
}
