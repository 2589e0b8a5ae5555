package dirstore

import (
	"fmt"

	"github.com/pailfs/pailfs/objstore"
	"golang.org/x/sys/unix"
)

// holdFlags open a file just to hold its inode, whatever its modes.
const holdFlags = unix.O_PATH

// dirVersion is the version of a directory as a marker: it outlives changes of
// what is in it. The time of birth tells an inode that was used again.
func dirVersion(fd int) (objstore.Version, error) {
	var st unix.Statx_t
	err := unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_INO|unix.STATX_BTIME, &st)
	if err != nil {
		return "", err
	}
	return objstore.Version(fmt.Sprintf("d-%x-%x.%x", st.Ino, st.Btime.Sec, st.Btime.Nsec)), nil
}

func beginWriteback(fd int, off, size int64) error {
	return unix.SyncFileRange(fd, off, size, unix.SYNC_FILE_RANGE_WRITE)
}

func copyFileRange(in int, from *int64, out int, to *int64, size int) (int, error) {
	return unix.CopyFileRange(in, from, out, to, size, 0)
}
