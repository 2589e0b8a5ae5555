//go:build !linux

package dirstore

import (
	"fmt"

	"github.com/pailfs/pailfs/objstore"
	"golang.org/x/sys/unix"
)

// holdFlags open a file just to hold its inode. O_NONBLOCK: not for a FIFO.
const holdFlags = unix.O_RDONLY | unix.O_NONBLOCK

// dirVersion is the version of a directory as a marker: it outlives changes of
// what is in it.
func dirVersion(fd int) (objstore.Version, error) {
	n, err := statFD(fd)
	if err != nil {
		return "", err
	}
	return objstore.Version(fmt.Sprintf("d-%x", n.ino)), nil
}

func beginWriteback(int, int64, int64) error { return nil }

func copyFileRange(int, *int64, int, *int64, int) (int, error) { return 0, unix.ENOSYS }
