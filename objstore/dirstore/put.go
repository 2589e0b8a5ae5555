package dirstore

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pailfs/pailfs/objstore"
)

// Put writes a whole object.
func (s *Store) Put(ctx context.Context, key string, body *io.SectionReader, opt objstore.PutOptions) (objstore.Object, error) {
	if err := s.enter(ctx, "put", key); err != nil {
		return objstore.Object{}, err
	}
	defer s.leave()
	p, err := at("put", key)
	if err != nil {
		return objstore.Object{}, err
	}
	if p.marker {
		if body.Size() > 0 {
			return objstore.Object{}, fail("put", key, objstore.ErrUnsupported, "a directory holds no bytes")
		}
		return s.publishMarker(ctx, "put", p, describe(opt.ContentType, opt.StorageClass, opt.Metadata, nil, nil), opt.Cond)
	}
	t, err := s.newTemp("put")
	if err != nil {
		return objstore.Object{}, classify("put", key, err)
	}
	defer t.discard()
	sums, want := newSummer(), expect(opt.Checksums)
	if err := t.write(ctx, 0, body, io.MultiWriter(sums, want)); err != nil {
		return objstore.Object{}, classify("put", key, err)
	}
	if err := want.check("put", key); err != nil {
		return objstore.Object{}, err
	}
	r := describe(opt.ContentType, opt.StorageClass, opt.Metadata, sums.finish(), opt.Checksums.SHA256)
	if body.Size() == 0 {
		r = describe(opt.ContentType, opt.StorageClass, opt.Metadata, nil, wholeSHA(nil))
	}
	return s.publish(ctx, "put", p, t, r, opt.Cond)
}

// publish puts a finished temporary file at p, if cond holds. On the disk are
// first the bytes and the sidecar, then the name.
func (s *Store) publish(ctx context.Context, op string, p place, t *temp, r record, cond objstore.Cond) (objstore.Object, error) {
	none := objstore.Object{}
	n, err := t.stamp()
	if err != nil {
		return none, classify(op, p.key, err)
	}
	synced := make(chan error, 1)
	go func() { synced <- t.file.Sync() }()
	r.Version = n.version()
	err = errors.Join(s.newSidecar(n, r), <-synced)
	if err == nil {
		err = s.install(ctx, op, p, t, cond)
	}
	if err != nil {
		if t.name != "" {
			s.dropSidecar(n)
		}
		return none, classify(op, p.key, err)
	}
	return r.object(p.key, n, r.Version), nil
}

// attempts bounds how often the directories of a path are made again which
// others remove as empty at the same time.
const attempts = 1000

// install renames t to p under the lock of p, and syncs the directory.
func (s *Store) install(ctx context.Context, op string, p place, t *temp, cond objstore.Cond) error {
	dir, made, err := s.swap(ctx, op, p, t, cond)
	if err != nil {
		if made {
			s.prune(ctx, p.names)
		}
		return err
	}
	defer unix.Close(dir)
	return unix.Fsync(dir)
}

// swap returns the directory of p open; made tells whether it had to be made.
func (s *Store) swap(ctx context.Context, op string, p place, t *temp, cond objstore.Cond) (dir int, made bool, err error) {
	unlock, err := s.lock(ctx, p.key)
	if err != nil {
		return -1, false, err
	}
	defer unlock()
	if err := s.check(op, p, cond); err != nil {
		return -1, false, err
	}
	for range attempts {
		var m bool
		dir, m, err = s.descend(p.names[:len(p.names)-1], true)
		made = made || m
		if err == nil {
			if err = s.replace(op, p, dir, func() error { return t.rename(dir, p.name()) }); err == nil {
				return dir, made, nil
			}
			unix.Close(dir)
		}
		if !errors.Is(err, unix.ENOENT) {
			break
		}
	}
	return -1, made, inTheWay(op, p, err)
}

// replace lets rename put another file at p, in dir, and forgets the sidecar of
// the file that was there. What is no file is not replaced.
func (s *Store) replace(op string, p place, dir int, rename func() error) error {
	old, hold, err := holdFile(dir, p.name())
	switch {
	case err == unix.ENOENT:
		return rename()
	case err != nil:
		return err
	}
	defer unix.Close(hold)
	if !old.regular() {
		return fail(op, p.key, objstore.ErrUnsupported, "a directory or a special file has this name")
	}
	if err := rename(); err != nil {
		return err
	}
	if old.links <= 1 { // else it lives on by another name
		s.dropSidecar(old)
	}
	return nil
}

// holdFile opens name just to keep its inode from being used again.
func holdFile(dir int, name string) (inode, int, error) {
	fd, err := openat(dir, name, holdFlags|unix.O_NOFOLLOW, 0)
	if err != nil {
		return inode{}, -1, err
	}
	n, err := statFD(fd)
	if err != nil {
		unix.Close(fd)
		return inode{}, -1, err
	}
	return n, fd, nil
}

// publishMarker makes the directory p a marker.
func (s *Store) publishMarker(ctx context.Context, op string, p place, r record, cond objstore.Cond) (objstore.Object, error) {
	o, made, err := s.makeMarker(ctx, op, p, r, cond)
	if err != nil {
		if made {
			s.prune(ctx, append(slices.Clone(p.names), ""))
		}
		return objstore.Object{}, classify(op, p.key, err)
	}
	return o, nil
}

func (s *Store) makeMarker(ctx context.Context, op string, p place, r record, cond objstore.Cond) (o objstore.Object, made bool, err error) {
	unlock, err := s.lock(ctx, p.key)
	if err != nil {
		return o, false, err
	}
	defer unlock()
	if err := s.check(op, p, cond); err != nil {
		return o, false, err
	}
	for range attempts {
		fd, m, e := s.descend(p.names, true)
		made = made || m
		if err = e; err == nil {
			o, err = s.mark(fd, p.key, r)
			unix.Close(fd)
		}
		if !errors.Is(err, unix.ENOENT) {
			break
		}
	}
	return o, made, inTheWay(op, p, err)
}

// mark gives the open directory a record. ENOENT: it was removed meanwhile.
func (s *Store) mark(fd int, key string, r record) (objstore.Object, error) {
	n, err := statFD(fd)
	if err != nil {
		return objstore.Object{}, err
	}
	if n.links == 0 {
		return objstore.Object{}, unix.ENOENT
	}
	if r.Version, err = dirVersion(fd); err != nil {
		return objstore.Object{}, err
	}
	if err := s.writeSidecar(n, r); err != nil {
		return objstore.Object{}, err
	}
	if n, err = statFD(fd); err == nil && n.links == 0 {
		s.dropSidecar(n)
		err = unix.ENOENT
	}
	return r.object(key, n, r.Version), err
}

// pruneTimeout bounds the clean-up after a change that is done already.
const pruneTimeout = 10 * time.Second

// prune removes the directories above the path names that are empty and no put
// markers: an object store has no empty directories.
func (s *Store) prune(ctx context.Context, names []string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pruneTimeout)
	defer cancel()
	for i := len(names) - 1; i > 0; i-- {
		if !s.pruneOne(ctx, names[:i]) {
			return
		}
	}
}

// pruneOne tells whether the directory is gone.
func (s *Store) pruneOne(ctx context.Context, names []string) bool {
	p := place{names: names, marker: true}
	for _, name := range names {
		p.key += name + "/"
	}
	unlock, err := s.lock(ctx, p.key)
	if err != nil {
		return false
	}
	defer unlock()
	dir, err := s.parent(p)
	if err != nil {
		return errors.Is(err, unix.ENOENT)
	}
	defer unix.Close(dir)
	fd, _, err := subdir(dir, p.name(), false)
	if err != nil {
		return err == unix.ENOENT
	}
	defer unix.Close(fd)
	if _, _, put, err := s.putMarker(fd, p.key); put || err != nil {
		return false
	}
	err = unix.Unlinkat(dir, p.name(), unix.AT_REMOVEDIR)
	return err == nil || err == unix.ENOENT
}
