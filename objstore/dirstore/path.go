package dirstore

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/pailfs/pailfs/objstore"
)

// place is where a key is in the directory.
type place struct {
	key    string
	names  []string // elements of the path, at least one
	marker bool     // the key ends in "/"
}

// at gives the place of key, or ErrUnsupported.
func at(op, key string) (place, error) {
	rest, marker := strings.CutSuffix(key, "/")
	p := place{key: key, names: strings.Split(rest, "/"), marker: marker}
	for i, name := range p.names {
		switch {
		case name == "" || name == "." || name == "..":
			return p, fail(op, key, objstore.ErrUnsupported, "a directory cannot hold the path element %q", name)
		case len(name) > 255:
			return p, fail(op, key, objstore.ErrUnsupported, "path element of %d bytes, at most 255", len(name))
		case strings.ContainsRune(name, 0):
			return p, fail(op, key, objstore.ErrUnsupported, "path element with a NUL")
		case i == 0 && name == private:
			return p, fail(op, key, objstore.ErrUnsupported, "%s is private to the store", private)
		}
	}
	return p, nil
}

func (p place) name() string { return p.names[len(p.names)-1] }

// openat is openat(2) without the interruptions.
func openat(dir int, name string, flags int, mode uint32) (int, error) {
	for {
		fd, err := unix.Openat(dir, name, flags|unix.O_CLOEXEC, mode)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// subdir opens the directory name in dir, never through a symbolic link; it is
// made, durably, where create is set.
func subdir(dir int, name string, create bool) (fd int, made bool, err error) {
	for {
		fd, err := openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
		if err != unix.ENOENT || !create {
			return fd, made, err
		}
		switch err := unix.Mkdirat(dir, name, 0o777); {
		case err == unix.EEXIST:
		case err != nil:
			return -1, made, err
		default:
			made = true
			if err := unix.Fsync(dir); err != nil {
				return -1, made, err
			}
		}
	}
}

// descend opens the directory that names lead to. The caller closes it. A
// directory that is removed while it is made on the way to another is ENOENT.
func (s *Store) descend(names []string, create bool) (fd int, made bool, err error) {
	// Not dup(2), whose descriptors share their place in the directory.
	fd, err = openat(s.root, ".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	for _, name := range names {
		if err != nil {
			break
		}
		next, m, e := subdir(fd, name, create)
		unix.Close(fd)
		fd, made, err = next, made || m, e
	}
	return fd, made, err
}

// parent opens the directory that holds p.
func (s *Store) parent(p place) (int, error) {
	fd, _, err := s.descend(p.names[:len(p.names)-1], false)
	return fd, err
}

// inTheWay makes it ErrUnsupported that a path leads through what is no
// directory.
func inTheWay(op string, p place, err error) error {
	if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return fail(op, p.key, objstore.ErrUnsupported, "an element of the path is no directory: %w", err)
	}
	return err
}

// inode is what stat(2) says of a file or a directory.
type inode struct {
	ino, dev uint64
	size     int64
	mtime    int64 // nanoseconds since 1970
	mode     uint32
	links    uint64
}

func (n inode) regular() bool { return n.mode&unix.S_IFMT == unix.S_IFREG }
func (n inode) isDir() bool   { return n.mode&unix.S_IFMT == unix.S_IFDIR }

// version is that of a regular file. Files written here have an mtime of their
// own, so that an inode used again does not bring a version back.
func (n inode) version() objstore.Version {
	return objstore.Version(fmt.Sprintf("%x-%x-%x", n.mtime, n.size, n.ino))
}

func toInode(st *unix.Stat_t) inode {
	return inode{
		ino: st.Ino, dev: uint64(st.Dev), size: st.Size, mtime: st.Mtim.Nano(),
		mode: uint32(st.Mode), links: uint64(st.Nlink),
	}
}

func statAt(dir int, name string) (inode, error) {
	var st unix.Stat_t
	err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	return toInode(&st), err
}

func statFD(fd int) (inode, error) {
	var st unix.Stat_t
	err := unix.Fstat(fd, &st)
	return toInode(&st), err
}

// withFD calls fn with the descriptor of f, which stays open meanwhile, also if
// another goroutine closes f.
func withFD(f *os.File, fn func(fd int) error) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	if e := c.Control(func(fd uintptr) { err = fn(int(fd)) }); e != nil {
		return e
	}
	return err
}

func statFile(f *os.File) (n inode, err error) {
	err = withFD(f, func(fd int) (err error) {
		n, err = statFD(fd)
		return err
	})
	return n, err
}

// openFile opens the regular file name in dir for reading.
func openFile(dir int, name string) (*os.File, inode, error) {
	// O_NONBLOCK: a FIFO must not block us before we know that it is one.
	fd, err := openat(dir, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err == unix.ENXIO { // a socket, or a device without a driver
		err = unix.ENOENT
	}
	if err != nil {
		return nil, inode{}, err
	}
	n, err := statFD(fd)
	if err == nil && !n.regular() {
		err = unix.ENOENT
	}
	if err != nil {
		unix.Close(fd)
		return nil, inode{}, err
	}
	return os.NewFile(uintptr(fd), name), n, nil
}
