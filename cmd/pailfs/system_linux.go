package main

import (
	"errors"
	"io"
	"math"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// program is this program, also when its file was replaced.
const program = "/proc/self/exe"

// closeOnExec keeps the descriptors from first on for this process alone.
func closeOnExec(first uint) error {
	err := unix.CloseRange(first, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
	if errors.Is(err, unix.ENOSYS) {
		return nil
	}
	return err
}

// replaceFD makes the descriptor old lead where fd does.
func replaceFD(fd, old int) error { return unix.Dup3(fd, old, 0) }

// namelessFile is a file in memory, to be read from its beginning.
func namelessFile(text string) (*os.File, error) {
	fd, err := unix.MemfdCreate("pailfs", unix.MFD_CLOEXEC|unix.MFD_NOEXEC_SEAL) // vm.memfd_noexec may demand it
	if err == unix.EINVAL {                                                      // before Linux 6.3
		fd, err = unix.MemfdCreate("pailfs", unix.MFD_CLOEXEC)
	}
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "pailfs")
	_, err = file.WriteString(text)
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// immutableFlag is FS_IMMUTABLE_FL of linux/fs.h.
const immutableFlag = 0x10

func immutable(dir string) bool {
	f, err := os.Open(dir)
	if err != nil {
		return false
	}
	defer f.Close()
	flags, err := unix.IoctlGetUint32(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	return err == nil && flags&immutableFlag != 0
}

func makeImmutable(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	flags, err := unix.IoctlGetUint32(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	if err != nil {
		return err
	}
	return unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, int(flags|immutableFlag))
}

// remountAt makes a mount read-only or read-write. have are its flags.
func remountAt(point, have string, readOnly bool) error {
	return unix.Mount("", point, "", remountFlags(have, readOnly), "")
}

// remountFlags keeps what the mount has: remounting clears what is not named.
func remountFlags(have string, readOnly bool) uintptr {
	flags := uintptr(unix.MS_REMOUNT)
	for name := range strings.SplitSeq(have, ",") {
		flags |= map[string]uintptr{
			"nosuid": unix.MS_NOSUID, "nodev": unix.MS_NODEV, "noexec": unix.MS_NOEXEC, "sync": unix.MS_SYNCHRONOUS,
			"dirsync": unix.MS_DIRSYNC, "noatime": unix.MS_NOATIME, "nodiratime": unix.MS_NODIRATIME, "relatime": unix.MS_RELATIME,
			"nosymfollow": unix.MS_NOSYMFOLLOW,
		}[name]
	}
	if readOnly {
		flags |= unix.MS_RDONLY
	}
	return flags
}
