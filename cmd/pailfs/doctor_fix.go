package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// immutableFlag is FS_IMMUTABLE_FL of linux/fs.h.
const immutableFlag = 0x10

// closed says whether a directory takes no files: it is immutable, or has no
// modes, which root alone overrides.
func closed(dir string) bool {
	fi, err := os.Stat(dir)
	return err == nil && fi.Mode().Perm() == 0 || immutable(dir)
}

func immutable(dir string) bool {
	f, err := os.Open(dir)
	if err != nil {
		return false
	}
	defer f.Close()
	flags, err := unix.IoctlGetUint32(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	return err == nil && flags&immutableFlag != 0
}

// closeDirectory makes a directory take no files: immutable, where its file
// system knows that, for it holds for root too.
func closeDirectory(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	flags, err := unix.IoctlGetUint32(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, int(flags|immutableFlag))
	}
	if err == nil {
		return nil
	}
	if err := f.Chmod(0); err != nil {
		return fmt.Errorf("take all modes from %s: %w", dir, reason(err))
	}
	return nil
}
