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

// heapMax is the largest offset that a small File keeps on the Go heap, so that
// ten thousand small files need no ten thousand descriptors.
const heapMax = 64 << 10

// File is a sparse file that reads as zeros wherever nothing was written. Small
// ones live on the heap, larger ones in a memfd or, with a directory, in an
// unlinked file there. The zero value is an empty File in memory.
//
// All methods are safe for concurrent use, but Write and Punch of overlapping
// ranges are the caller's to order.
type File struct {
	Dir string // where to keep the bytes; "" is in memory

	mu     sync.RWMutex
	heap   [][]byte // pages; nil where nothing is
	fd     *os.File
	alloc  Set // pages that take space
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
	end := off + int64(len(b))
	if f.fd == nil && (end > heapMax || f.Dir != "") {
		if err := f.spill(); err != nil {
			return 0, err
		}
	}
	grown = f.cost(off, end)
	f.alloc.Add(floor(off), ceil(end))
	if f.fd != nil {
		_, err = f.fd.WriteAt(b, off)
		return grown, err
	}
	for len(b) > 0 {
		i := int(off / Page)
		for len(f.heap) <= i {
			f.heap = append(f.heap, nil)
		}
		if f.heap[i] == nil {
			f.heap[i] = make([]byte, Page)
		}
		n := copy(f.heap[i][off%Page:], b)
		b, off = b[n:], off+int64(n)
	}
	return grown, nil
}

// spill moves the File from the heap to a descriptor.
func (f *File) spill() error {
	fd, err := f.open()
	if err != nil {
		return fmt.Errorf("staging: %w", err)
	}
	for i, p := range f.heap {
		if p == nil {
			continue
		}
		if _, err := fd.WriteAt(p, int64(i)*Page); err != nil {
			return errors.Join(fmt.Errorf("staging: %w", err), fd.Close())
		}
	}
	f.fd, f.heap = fd, nil
	return nil
}

func (f *File) open() (*os.File, error) {
	if f.Dir == "" {
		n, err := unix.MemfdCreate("pailfs-staging", unix.MFD_CLOEXEC)
		if err != nil {
			return nil, os.NewSyscallError("memfd_create", err)
		}
		return os.NewFile(uintptr(n), "memfd:pailfs-staging"), nil
	}
	fd, err := os.CreateTemp(f.Dir, ".staging-*")
	if err != nil {
		return nil, err
	}
	// Unlinked at once: the space goes back whatever becomes of this process.
	if err := os.Remove(fd.Name()); err != nil {
		return nil, errors.Join(err, fd.Close())
	}
	return fd, nil
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
		defer f.mu.RUnlock()
		clear(b)
		for n := 0; n < len(b); {
			at := off + int64(n)
			i, in := int(at/Page), int(at%Page)
			if i >= len(f.heap) {
				break
			}
			step := min(Page-in, len(b)-n)
			if f.heap[i] != nil {
				copy(b[n:n+step], f.heap[i][in:])
			}
			n += step
		}
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
	if f.fd != nil {
		err = unix.Fallocate(int(f.fd.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, end-off)
		if err != nil {
			return 0, os.NewSyscallError("fallocate", err)
		}
	} else {
		for i := int(off / Page); i < len(f.heap) && int64(i)*Page < end; i++ {
			if f.heap[i] != nil {
				lo, hi := max(off-int64(i)*Page, 0), min(end-int64(i)*Page, Page)
				clear(f.heap[i][lo:hi])
			}
		}
	}
	lo, hi := floor(off), ceil(end)
	if keep.Overlaps(lo, lo+Page) {
		lo += Page
	}
	if lo < hi && keep.Overlaps(hi-Page, hi) {
		hi -= Page
	}
	if lo >= hi {
		return 0, nil
	}
	if f.fd != nil && (lo < off || hi > end) {
		// The edges held nothing any more: a punch of whole pages frees them.
		if err := unix.Fallocate(int(f.fd.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, lo, hi-lo); err != nil {
			return 0, os.NewSyscallError("fallocate", err)
		}
	}
	for i := int(lo / Page); f.fd == nil && i < len(f.heap) && int64(i)*Page < hi; i++ {
		f.heap[i] = nil
	}
	freed = f.alloc.BytesIn(lo, hi)
	f.alloc.Remove(lo, hi)
	return freed, nil
}

// Reset drops all bytes and the descriptor. It returns the space given back;
// the File is empty and may be written again. Readers under way see zeros or
// an error.
func (f *File) Reset() (freed int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	freed = f.alloc.Bytes()
	f.alloc.Clear()
	f.heap = nil
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
