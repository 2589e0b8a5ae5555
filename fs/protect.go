package fs

import (
	"errors"
	"syscall"
)

// A mount with CreateOnly writes new objects and changes none: every commit of a
// new file asks the store to accept it only where there is no object. A file
// belongs to those who made it until they have closed it; from then on it is
// fixed. One with NoDelete removes no object.

var errNoConditions = errors.New("the store does not honour conditions on what is written, so create-only cannot be kept")

// fixed reports whether the file may not be changed any more. f.mu must be held.
func (f *file) fixed() bool {
	return f.m.opt.CreateOnly && (f.draft == nil || f.pending != nil && f.writers == 0)
}

// fixedAttr is the errno for a change of attributes, which are part of the object.
func (f *file) fixedAttr() syscall.Errno {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fixed() {
		return syscall.EPERM
	}
	return 0
}

// refusesOpen is the errno for opening a file that is fixed. O_RDWR is no wish to
// write yet: pg_dump opens its finished file so for an fsync. f.mu must be held.
func (f *file) refusesOpen(flags uint32) syscall.Errno {
	writes := flags&syscall.O_ACCMODE == syscall.O_WRONLY || flags&syscall.O_APPEND != 0
	if writes && f.fixed() {
		return syscall.EEXIST
	}
	return 0
}
