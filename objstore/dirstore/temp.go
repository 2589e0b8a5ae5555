package dirstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pailfs/pailfs/objstore"
)

// temp is a file in the private directory. It is locked (flock) while its
// process lives, by which AbortStale knows what was left behind.
type temp struct {
	s    *Store
	name string // "" once it was renamed or removed
	file *os.File
}

// newTemp makes a temporary file whose name begins with kind.
func (s *Store) newTemp(kind string) (*temp, error) {
	return s.newTempNamed(fmt.Sprintf("%s-%016x", kind, rand.Uint64()))
}

func (s *Store) newTempNamed(name string) (*temp, error) {
	dirs, err := s.dirs(true)
	if err != nil {
		return nil, err
	}
	for {
		fd, err := openat(dirs.temp, name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, 0o666)
		if err != nil {
			return nil, err
		}
		kept, err := claim(fd)
		if err != nil {
			unix.Close(fd)
			_ = unix.Unlinkat(dirs.temp, name, 0)
			return nil, err
		}
		if kept {
			return &temp{s: s, name: name, file: os.NewFile(uintptr(fd), name)}, nil
		}
		unix.Close(fd)
	}
}

// claim locks a new file, and reports whether it still is there: before it was
// locked another process may have taken it for one that was left behind.
func claim(fd int) (kept bool, err error) {
	for err = unix.EINTR; err == unix.EINTR; {
		err = unix.Flock(fd, unix.LOCK_EX)
	}
	var st unix.Stat_t
	if err == nil {
		err = unix.Fstat(fd, &st)
	}
	return st.Nlink > 0, err
}

// rename moves the file to its place; discard then only closes it.
func (t *temp) rename(dir int, name string) error {
	dirs, err := t.s.dirs(true)
	if err != nil {
		return err
	}
	if err := unix.Renameat(dirs.temp, t.name, dir, name); err != nil {
		return err
	}
	t.name = ""
	return nil
}

// discard closes the file, and removes it if it was not renamed.
func (t *temp) discard() {
	if dirs, _ := t.s.dirs(false); dirs != nil && t.name != "" {
		_ = unix.Unlinkat(dirs.temp, t.name, 0)
		t.name = ""
	}
	t.file.Close()
}

// lastStamp is the newest mtime given to a file by this process.
var lastStamp atomic.Int64

// stamp gives the file an mtime of its own.
func (t *temp) stamp() (inode, error) {
	var now int64
	for {
		last := lastStamp.Load()
		now = max(time.Now().UnixNano(), last+1)
		if lastStamp.CompareAndSwap(last, now) {
			break
		}
	}
	dirs, err := t.s.dirs(true)
	if err != nil {
		return inode{}, err
	}
	ts := unix.NsecToTimespec(now)
	if err := unix.UtimesNanoAt(dirs.temp, t.name, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return inode{}, err
	}
	return statFile(t.file)
}

// chunk is how much of a body is read, hashed and written at a time.
const chunk = 256 << 10

// write writes body at off, and what it writes to also too.
func (t *temp) write(ctx context.Context, off int64, body *io.SectionReader, also io.Writer) error {
	size := body.Size()
	buf := make([]byte, min(size, chunk))
	for done := int64(0); done < size; {
		if err := ctx.Err(); err != nil {
			return err
		}
		b := buf[:min(int64(len(buf)), size-done)]
		if n, err := body.ReadAt(b, done); n < len(b) {
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("read body: %w", err)
		}
		if _, err := also.Write(b); err != nil {
			return err
		}
		if _, err := t.file.WriteAt(b, off+done); err != nil {
			return err
		}
		done += int64(len(b))
		if done%run == 0 || done == size && size >= 1<<20 {
			t.startWriteback(off, done)
		}
	}
	return ctx.Err()
}

// startWriteback lets the disk begin, so that the fsync at the end is short.
func (t *temp) startWriteback(off, size int64) {
	_ = withFD(t.file, func(fd int) error { return beginWriteback(fd, off, size) })
}

// copyRange copies bytes between files inside the kernel, sharing them where
// the file system can.
func copyRange(ctx context.Context, dst *os.File, dstOff int64, src *os.File, srcOff, size int64) error {
	for size > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		var n int
		from, to := srcOff, dstOff
		err := withFD(src, func(in int) error {
			return withFD(dst, func(out int) (err error) {
				n, err = copyFileRange(in, &from, out, &to, int(min(size, 1<<30)))
				return err
			})
		})
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.ENOSYS || err == unix.EXDEV || err == unix.EINVAL || err == unix.EOPNOTSUPP || err == unix.EPERM:
			m, err := io.Copy(io.NewOffsetWriter(dst, dstOff), io.NewSectionReader(src, srcOff, min(size, run)))
			if err != nil {
				return err
			}
			n = int(m)
		case err != nil:
			return err
		}
		if n == 0 {
			return fmt.Errorf("source ends %d bytes early: %w", size, io.ErrUnexpectedEOF)
		}
		srcOff, dstOff, size = srcOff+int64(n), dstOff+int64(n), size-int64(n)
	}
	return ctx.Err()
}

// verify reads the first size bytes back and checks them against want.
func (t *temp) verify(ctx context.Context, op, key string, size int64, want objstore.Checksums) error {
	e := expect(want)
	if len(e.hashes) == 0 {
		return nil
	}
	for off := int64(0); off < size; off += run {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := io.Copy(e, io.NewSectionReader(t.file, off, min(run, size-off))); err != nil {
			return err
		}
	}
	return e.check(op, key)
}
