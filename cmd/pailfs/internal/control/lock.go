package control

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// HeldError says that another process serves the mount point.
type HeldError struct{ PID string }

func (e *HeldError) Error() string { return "held by process " + e.PID }

// Lock is held by the process that serves a mount point, until it ends.
type Lock struct {
	dir, name string
	file      *os.File
}

// Acquire takes the lock of a mount point or returns a *HeldError.
func Acquire(dir, mountpoint string) (*Lock, error) {
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	l := &Lock{dir: dir, name: Name(mountpoint)}
	for {
		f, err := os.OpenFile(l.path(".lock"), os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			defer f.Close()
			if errors.Is(err, unix.EWOULDBLOCK) {
				return nil, &HeldError{PID: holder(f)}
			}
			return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		// The holder before us may have removed the file between our open and
		// our lock; then the lock is on a file that nobody else will find.
		if !same(f) {
			f.Close()
			continue
		}
		l.file = f
		if err := f.Truncate(0); err != nil {
			l.Release()
			return nil, err
		}
		if _, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0); err != nil {
			l.Release()
			return nil, err
		}
		return l, nil
	}
}

// Release removes the lock file and the socket.
func (l *Lock) Release() {
	os.Remove(l.path(".sock"))
	os.Remove(l.path(".lock"))
	l.file.Close()
}

func (l *Lock) path(suffix string) string { return filepath.Join(l.dir, l.name+suffix) }

func same(f *os.File) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Stat(f.Name())
	return err == nil && os.SameFile(a, b)
}

func holder(f *os.File) string {
	buf := make([]byte, 20)
	n, _ := f.ReadAt(buf, 0)
	if pid := strings.TrimSpace(string(buf[:n])); pid != "" {
		return pid
	}
	return "unknown"
}
