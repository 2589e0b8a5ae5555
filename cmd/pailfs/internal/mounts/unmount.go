package mounts

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Dead says whether the server behind a mounted path is gone: every call there
// ends in ENOTCONN. A live server that does not answer in time is not dead.
func Dead(path string, wait time.Duration) bool {
	answer := make(chan error, 1)
	go func() {
		// The kernel answers statfs itself to those who may not look, and lstat
		// from its memory for a while.
		var st unix.Statfs_t
		err := unix.Statfs(path, &st)
		if err == nil {
			_, err = os.Lstat(path)
		}
		answer <- err
	}()
	select {
	case err := <-answer:
		return errors.Is(err, unix.ENOTCONN) || errors.Is(err, unix.ECONNABORTED)
	case <-time.After(wait):
		return false
	}
}

// ClearDead takes dead mounts of ours off a path, also when several lie on top
// of each other, and says how many there were.
func ClearDead(ctx context.Context, path string) (int, error) {
	for n := 0; ; n++ {
		m, ok, err := At(path)
		if err != nil || !ok || m.Type != Type || !Dead(path, 5*time.Second) {
			return n, err
		}
		if err := Detach(ctx, path); err != nil {
			return n, fmt.Errorf("remove the dead mount at %s: %w", path, err)
		}
	}
}
