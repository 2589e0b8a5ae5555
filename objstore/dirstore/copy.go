package dirstore

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/pailfs/pailfs/objstore"
)

// Copy copies src to dst, sharing the blocks where the file system can. With
// dst == src only the sidecar is written.
func (s *Store) Copy(ctx context.Context, dst, src string, opt objstore.CopyOptions) (objstore.Object, error) {
	none := objstore.Object{}
	if err := s.enter(ctx, "copy", dst); err != nil {
		return none, err
	}
	defer s.leave()
	from, err := at("copy", src)
	if err != nil {
		return none, err
	}
	to, err := at("copy", dst)
	if err != nil {
		return none, err
	}
	switch {
	case dst == src:
		return s.rewrite(ctx, to, opt)
	case from.marker:
		o, r, err := s.lookup(from)
		if err != nil {
			return none, readError("copy", src, err)
		}
		if err := holdsVersion("copy", o, opt.Src); err != nil {
			return none, err
		}
		return s.publishEmpty(ctx, to, r, opt)
	}
	in, err := s.openSource("copy", from)
	if err != nil {
		return none, err
	}
	defer in.file.Close()
	if err := holdsVersion("copy", in.o, opt.Src); err != nil {
		return none, err
	}
	if to.marker {
		if in.o.Size > 0 {
			return none, fail("copy", dst, objstore.ErrUnsupported, "a directory holds no bytes")
		}
		return s.publishEmpty(ctx, to, in.rec, opt)
	}
	t, err := s.newTemp("copy")
	if err != nil {
		return none, classify("copy", dst, err)
	}
	defer t.discard()
	if err := copyRange(ctx, t.file, 0, in.file, 0, in.o.Size); err != nil {
		return none, classify("copy", dst, err)
	}
	if err := in.unchanged(); err != nil {
		return none, classify("copy", src, err)
	}
	r := in.rec
	if opt.Metadata != nil {
		r.setMetadata(opt.Metadata)
	}
	return s.publish(ctx, "copy", to, t, r, opt.Dst)
}

func holdsVersion(op string, o objstore.Object, v objstore.Version) error {
	return holds(op, o, objstore.Cond{Version: v})
}

// publishEmpty makes an object without bytes, or a marker, from a record.
func (s *Store) publishEmpty(ctx context.Context, to place, r record, opt objstore.CopyOptions) (objstore.Object, error) {
	if opt.Metadata != nil {
		r.setMetadata(opt.Metadata)
	}
	if to.marker {
		return s.publishMarker(ctx, "copy", to, r, opt.Dst)
	}
	t, err := s.newTemp("copy")
	if err != nil {
		return objstore.Object{}, classify("copy", to.key, err)
	}
	defer t.discard()
	return s.publish(ctx, "copy", to, t, r, opt.Dst)
}

// rewrite replaces the metadata of an object. The bytes, and so the version,
// stay as they are.
func (s *Store) rewrite(ctx context.Context, p place, opt objstore.CopyOptions) (objstore.Object, error) {
	none := objstore.Object{}
	unlock, err := s.lock(ctx, p.key)
	if err != nil {
		return none, classify("copy", p.key, err)
	}
	defer unlock()
	if err := s.check("copy", p, opt.Dst); err != nil {
		return none, err
	}
	o, err := s.rewriteLocked(p, opt)
	if err != nil {
		return none, readError("copy", p.key, err)
	}
	return o, nil
}

// rewriteLocked is rewrite for a caller that holds the lock.
func (s *Store) rewriteLocked(p place, opt objstore.CopyOptions) (objstore.Object, error) {
	none := objstore.Object{}
	if p.marker {
		fd, _, err := s.descend(p.names, false)
		if err != nil {
			return none, err
		}
		defer unix.Close(fd)
		o, r, err := s.lookupMarker(fd, p)
		if err == nil {
			err = holdsVersion("copy", o, opt.Src)
		}
		if err != nil {
			return none, err
		}
		if opt.Metadata != nil {
			r.setMetadata(opt.Metadata)
		}
		return s.mark(fd, p.key, r)
	}
	in, err := s.openSource("copy", p)
	if err != nil {
		return none, err
	}
	defer in.file.Close()
	if err := holdsVersion("copy", in.o, opt.Src); err != nil {
		return none, err
	}
	if opt.Metadata == nil {
		return in.o, nil
	}
	n, err := statFile(in.file)
	if err != nil {
		return none, err
	}
	r := in.rec
	r.setMetadata(opt.Metadata)
	r.Version = in.o.Version
	if err := s.writeSidecar(n, r); err != nil {
		return none, err
	}
	return r.object(p.key, n, r.Version), nil
}

// Rename moves src to dst by rename(2). The sidecar follows the inode; new
// metadata is written just before. Markers cannot be renamed: rename(2) would
// take along what is in the directory.
func (s *Store) Rename(ctx context.Context, dst, src string, opt objstore.CopyOptions) (objstore.Object, error) {
	none := objstore.Object{}
	if err := s.enter(ctx, "rename", dst); err != nil {
		return none, err
	}
	defer s.leave()
	from, err := at("rename", src)
	if err != nil {
		return none, err
	}
	to, err := at("rename", dst)
	if err != nil {
		return none, err
	}
	switch {
	case from.marker || to.marker:
		return none, fail("rename", src, objstore.ErrUnsupported, "markers are not renamed")
	case dst == src:
		return s.rewrite(ctx, to, opt)
	}
	m, err := s.move(ctx, to, from, opt)
	for _, dir := range m.dirs {
		if err == nil {
			err = unix.Fsync(dir)
		}
		unix.Close(dir)
	}
	if err != nil {
		if m.made {
			s.prune(ctx, to.names)
		}
		return none, readError("rename", src, err)
	}
	s.prune(ctx, from.names)
	m.o.Key = dst
	return m.o, nil
}

// moved is the outcome of a rename.
type moved struct {
	o    objstore.Object
	dirs []int // open, to be synced and closed
	made bool  // the directory of dst had to be made
}

// move renames under the locks of both keys.
func (s *Store) move(ctx context.Context, to, from place, opt objstore.CopyOptions) (m moved, err error) {
	unlock, err := s.lockTwo(ctx, to.key, from.key)
	if err != nil {
		return m, err
	}
	defer unlock()
	if err := s.check("rename", to, opt.Dst); err != nil {
		return m, err
	}
	m.o, err = s.rewriteLocked(from, objstore.CopyOptions{Src: opt.Src, Metadata: opt.Metadata})
	if err != nil {
		return m, err
	}
	fromDir, err := s.parent(from)
	if err != nil {
		return m, err
	}
	m.dirs = []int{fromDir}
	for range attempts {
		toDir, made, e := s.descend(to.names[:len(to.names)-1], true)
		m.made = m.made || made
		if err = e; err == nil {
			m.dirs = append(m.dirs, toDir)
			err = s.replace("rename", to, toDir, func() error {
				return renameFile(fromDir, from.name(), toDir, to.name())
			})
		}
		if !errors.Is(err, unix.ENOENT) {
			break
		}
	}
	return m, inTheWay("rename", to, err)
}

// renameFile is renameat(2), but two names of one file become one too.
func renameFile(fromDir int, from string, toDir int, to string) error {
	if err := unix.Renameat(fromDir, from, toDir, to); err != nil {
		return err
	}
	if n, err := statAt(fromDir, from); err == nil && n.regular() && n.links > 1 {
		if m, err := statAt(toDir, to); err == nil && m.ino == n.ino && m.dev == n.dev {
			return unix.Unlinkat(fromDir, from, 0)
		}
	}
	return nil
}
