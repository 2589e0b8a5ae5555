// Package staging keeps the bytes of files that are being written: a Set says
// which bytes are there, a File holds them.
package staging

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Page is the unit in which a File takes and gives back space.
const Page = 4096

// File is a sparse file that reads as zeros wherever nothing was written. It
// lives in memory or, with a directory, in an unlinked file there. The zero value
// is an empty File in memory.
//
// All methods are safe for concurrent use, but Write and Punch of overlapping
// ranges are the caller's to order.
type File struct {
	Dir string // where to keep the bytes; "" is in memory

	mu     sync.RWMutex
	mem    memory
	fd     *os.File // instead, with a directory, once something was written
	alloc  Set      // pages that take space
	closed bool
}

func floor(off int64) int64 { return off &^ (Page - 1) }
func ceil(off int64) int64  { return (off + Page - 1) &^ (Page - 1) }

// Cost is the number of bytes of space a Write of [off, end) would take beyond
// what is taken already.
func (f *File) Cost(off, end int64) int64 {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.cost(off, end)
}

func (f *File) cost(off, end int64) int64 {
	if off >= end {
		return 0
	}
	lo, hi := floor(off), ceil(end)
	return hi - lo - f.alloc.BytesIn(lo, hi)
}

// Space is the number of bytes of space the File takes.
func (f *File) Space() int64 {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.alloc.Bytes()
}

// Write writes b at off and returns by how much the space taken grew, which is
// what Cost said. It is told also when the write failed half-way.
func (f *File) Write(b []byte, off int64) (grown int64, err error) {
	if len(b) == 0 {
		return 0, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return 0, os.ErrClosed
	}
	if f.fd == nil && f.Dir != "" {
		if err := f.open(); err != nil {
			return 0, fmt.Errorf("staging: %w", err)
		}
	}
	end := off + int64(len(b))
	grown = f.cost(off, end)
	f.alloc.Add(floor(off), ceil(end))
	if f.fd != nil {
		_, err = f.fd.WriteAt(b, off)
		return grown, err
	}
	f.mem.write(b, off)
	return grown, nil
}

func (f *File) open() error {
	fd, err := os.CreateTemp(f.Dir, ".staging-*")
	if err != nil {
		return err
	}
	// Unlinked at once: the space goes back whatever becomes of this process.
	if err := os.Remove(fd.Name()); err != nil {
		return errors.Join(err, fd.Close())
	}
	f.fd = fd
	return nil
}

// ReadAt fills b with the bytes at off. It never ends early: what was never
// written, or punched, is zeros.
func (f *File) ReadAt(b []byte, off int64) (int, error) {
	f.mu.RLock()
	if f.closed {
		f.mu.RUnlock()
		return 0, os.ErrClosed
	}
	fd := f.fd
	if fd == nil {
		defer f.mu.RUnlock() // pages that go back are somebody else's at once
		f.mem.read(b, off)
		return len(b), nil
	}
	f.mu.RUnlock()
	n, err := fd.ReadAt(b, off)
	if errors.Is(err, io.EOF) {
		clear(b[n:])
		return len(b), nil
	}
	return n, err
}

// Punch makes [off, end) zeros and gives back the space of the pages in it,
// except of those that hold bytes of keep. It returns by how much the space
// taken shrank.
func (f *File) Punch(off, end int64, keep *Set) (freed int64, err error) {
	if off >= end {
		return 0, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return 0, os.ErrClosed
	}
	lo, hi := floor(off), ceil(end)
	if keep.Overlaps(lo, lo+Page) {
		lo += Page
	}
	if lo < hi && keep.Overlaps(hi-Page, hi) {
		hi -= Page
	}
	whole := lo < hi // pages that nothing is in any more
	switch {
	case f.fd == nil && whole:
		f.mem.zero(off, min(end, lo))
		f.mem.zero(max(off, hi), end)
		f.mem.drop(lo, hi)
	case f.fd == nil:
		f.mem.zero(off, end)
	case whole:
		err = punch(f.fd, min(off, lo), max(end, hi))
	default:
		err = punch(f.fd, off, end)
	}
	if err != nil || !whole {
		return 0, err
	}
	freed = f.alloc.BytesIn(lo, hi)
	f.alloc.Remove(lo, hi)
	return freed, nil
}

// punch makes [off, end) a hole, and zeros where it is less than a page.
func punch(fd *os.File, off, end int64) error {
	const mode = unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE
	return os.NewSyscallError("fallocate", unix.Fallocate(int(fd.Fd()), mode, off, end-off))
}

// Reset drops all bytes and the descriptor. It returns the space given back;
// the File is empty and may be written again. Readers under way see zeros or
// an error.
func (f *File) Reset() (freed int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	freed = f.alloc.Bytes()
	f.alloc.Clear()
	f.mem.reset()
	if f.fd != nil {
		_ = f.fd.Close() // nothing in it is wanted
		f.fd = nil
	}
	return freed
}

// Close is Reset for good.
func (f *File) Close() (freed int64) {
	freed = f.Reset()
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	return freed
}
