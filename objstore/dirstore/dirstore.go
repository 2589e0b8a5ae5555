// Package dirstore makes a local directory a bucket: a key is a path below it,
// an object is a regular file, and any other program may read and add files.
//
// Objects are written to a temporary file, synced, renamed into place, and the
// directory synced. What a file cannot hold (user metadata, content type,
// checksums) is in a sidecar below the private directory ".pailfs-store", which
// is no part of the namespace. A sidecar belongs to an inode and names the
// version (mtime, size, inode) that it describes: a file that another program
// renamed keeps it; one that was changed or put there by another program has
// none and is an object without metadata. A copy of the tree made by another
// program has new inodes and so leaves metadata and checksums behind.
//
// Bytes are checked against the SHA-256 of each run of at most 16 MiB that is
// read as a whole and in order; a mismatch is ErrChecksum.
//
// A directory is no object, but it stands for the marker "dir/" if that was
// put here, or if it holds neither files nor directories; a directory that
// another program made vanishes from listings only as implicit prefix of what
// is in it. Deleting the last object of a directory without a put marker
// removes the directory, as in an object store.
//
// A directory cannot hold every key: "a" beside "a/b", empty, "." or ".."
// elements, NUL, elements over 255 bytes, and markers with bytes are
// ErrUnsupported. Symbolic links and special files are neither shown, followed
// nor replaced, so that no key leads out of the directory.
//
// Conditions hold between all processes that use this package on one host (or
// on a file system whose flock spans hosts). Other programs take no locks.
package dirstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/pailfs/pailfs/objstore"
)

// private is the directory for what is ours alone, below the store's root.
const private = ".pailfs-store"

// large is the limit of what is limited by the file system alone.
const large = 1 << 62

// Store is a directory as a bucket. It is a Renamer and a Cleaner.
type Store struct {
	dir   string
	root  int    // descriptor of dir
	dev   uint64 // of dir: sidecars describe files on this device only
	locks locks
	lists snapshots

	life   sync.RWMutex // held for reading by each call, so that Close waits
	closed bool         // guarded by life

	mu   sync.Mutex
	priv *privateDirs // guarded by mu; nil until first needed
}

// privateDirs are descriptors of the directories below private.
type privateDirs struct{ lock, temp, side int }

// Open opens the directory dir, which must exist, as a store. Nothing is
// written before the first change, so a read-only directory will do for reading.
func Open(dir string) (*Store, error) {
	fd, err := openat(unix.AT_FDCWD, dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, classify("open", dir, &fs.PathError{Op: "open", Path: dir, Err: err})
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return nil, classify("open", dir, err)
	}
	return &Store{dir: dir, root: fd, dev: uint64(st.Dev)}, nil
}

func (s *Store) Caps() objstore.Caps {
	return objstore.Caps{
		MaxPut: large, MinPart: 1, MaxPart: large, MaxObject: large, MaxParts: 100_000, MaxCopy: large,
		SortedList: true, ListMetadata: true,
		CondPut: true, CondCopy: true, CondDelete: true, AtomicRename: true,
	}
}

// Close waits for the calls that are under way. Open bodies stay readable.
func (s *Store) Close() error {
	s.life.Lock()
	defer s.life.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	unix.Close(s.root)
	if p := s.priv; p != nil {
		unix.Close(p.lock)
		unix.Close(p.temp)
		unix.Close(p.side)
	}
	return nil
}

// enter begins a call; leave must follow where it succeeds.
func (s *Store) enter(ctx context.Context, op, key string) error {
	if err := ctx.Err(); err != nil {
		return classify(op, key, err)
	}
	s.life.RLock()
	if s.closed {
		s.life.RUnlock()
		return classify(op, key, os.ErrClosed)
	}
	return nil
}

func (s *Store) leave() { s.life.RUnlock() }

// dirs gives the private directories, which are made where create is set. Nil
// without an error: there are none yet.
func (s *Store) dirs(create bool) (*privateDirs, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.priv != nil {
		return s.priv, nil
	}
	top, _, err := subdir(s.root, private, create)
	if errors.Is(err, unix.ENOENT) && !create {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", private, err)
	}
	defer unix.Close(top)
	var p privateDirs
	var open []int
	for name, fd := range map[string]*int{"lock": &p.lock, "temp": &p.temp, "side": &p.side} {
		if *fd, _, err = subdir(top, name, create); err != nil {
			for _, fd := range open {
				unix.Close(fd)
			}
			if errors.Is(err, unix.ENOENT) && !create {
				return nil, nil
			}
			return nil, fmt.Errorf("%s/%s: %w", private, name, err)
		}
		open = append(open, *fd)
	}
	s.priv = &p
	return s.priv, nil
}

// classify makes err an *objstore.Error of one kind.
func classify(op, key string, err error) error {
	kind := objstore.ErrOther
	var no syscall.Errno
	if errors.As(err, &no) {
		switch no {
		case unix.ENOENT, unix.ENOTDIR, unix.ELOOP:
			kind = objstore.ErrNotFound
		case unix.EACCES, unix.EPERM, unix.EROFS:
			kind = objstore.ErrPermission
		case unix.ENOSPC, unix.EDQUOT:
			kind = objstore.ErrQuota
		case unix.EISDIR, unix.ENAMETOOLONG, unix.EXDEV, unix.EFBIG, unix.EILSEQ, unix.EINVAL, unix.EOPNOTSUPP:
			kind = objstore.ErrUnsupported
		case unix.ESTALE, unix.ETIMEDOUT, unix.EAGAIN, unix.EMFILE, unix.ENFILE, unix.ENOMEM:
			kind = objstore.ErrTransient
		}
	}
	return objstore.NewError(op, key, kind, err)
}

func fail(op, key string, kind error, format string, args ...any) error {
	return &objstore.Error{Op: op, Key: key, Kind: kind, Err: fmt.Errorf(format, args...)}
}
