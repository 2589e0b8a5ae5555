package dirstore

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/pailfs/pailfs/objstore"
)

// Delete removes the object at key, and the directories that are empty without
// it.
func (s *Store) Delete(ctx context.Context, key string, cond objstore.Cond) error {
	if err := s.enter(ctx, "delete", key); err != nil {
		return err
	}
	defer s.leave()
	p, err := at("delete", key)
	if err != nil {
		return err
	}
	dir, err := s.remove(ctx, p, cond)
	if absent(err) {
		return nil
	}
	if err != nil {
		return classify("delete", key, err)
	}
	err = unix.Fsync(dir)
	unix.Close(dir)
	s.prune(ctx, p.names)
	if err != nil {
		return classify("delete", key, err)
	}
	return nil
}

// absent tells whether err says that nothing is at a path.
func absent(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP)
}

// remove takes the object out of its directory, which it returns open.
func (s *Store) remove(ctx context.Context, p place, cond objstore.Cond) (dir int, err error) {
	// No private directory, nothing to lock, nor to write: what is not there
	// can be deleted from a read-only directory too.
	if _, _, err := s.lookup(p); absent(err) && cond.IsZero() {
		return -1, err
	}
	unlock, err := s.lock(ctx, p.key)
	if err != nil {
		return -1, err
	}
	defer unlock()
	if err := s.check("delete", p, cond); err != nil {
		return -1, err
	}
	if dir, err = s.parent(p); err != nil {
		return -1, err
	}
	if p.marker {
		err = s.removeMarker(dir, p)
	} else {
		err = s.removeFile(dir, p)
	}
	if err != nil {
		unix.Close(dir)
		return -1, err
	}
	return dir, nil
}

func (s *Store) removeFile(dir int, p place) error {
	n, hold, err := holdFile(dir, p.name())
	if err != nil {
		return err
	}
	defer unix.Close(hold)
	if !n.regular() {
		return unix.ENOENT
	}
	if err := unix.Unlinkat(dir, p.name(), 0); err != nil {
		return err
	}
	if n.links <= 1 {
		s.dropSidecar(n)
	}
	return nil
}

// removeMarker removes the record of a directory, and the directory if nothing
// is in it.
func (s *Store) removeMarker(dir int, p place) error {
	fd, _, err := subdir(dir, p.name(), false)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	n, err := statFD(fd)
	if err != nil {
		return err
	}
	names, err := s.entries(fd, p.key)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		err = unix.Unlinkat(dir, p.name(), unix.AT_REMOVEDIR)
		if err == unix.ENOTEMPTY {
			if names, err := s.entries(fd, p.key); err == nil && len(names) == 0 {
				return fail("delete", p.key, objstore.ErrUnsupported, "the directory holds special files")
			}
			err = nil
		}
		if err != nil {
			return err
		}
	}
	s.dropSidecar(n)
	return nil
}
