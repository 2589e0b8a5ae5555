package mounts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Unmount takes the topmost mount off a path. Busy is EBUSY.
func Unmount(ctx context.Context, path string) error { return unmount(ctx, path, 0) }

// Detach hides a mount at once, busy or not; what is open stays open.
func Detach(ctx context.Context, path string) error { return unmount(ctx, path, unix.MNT_DETACH) }

func unmount(ctx context.Context, path string, flags int) error {
	err := unix.Unmount(path, flags|unix.UMOUNT_NOFOLLOW)
	if err == nil || !errors.Is(err, unix.EPERM) {
		return err
	}
	args := []string{"-u"}
	if flags&unix.MNT_DETACH != 0 {
		args = append(args, "-z")
	}
	out, err := exec.CommandContext(ctx, "fusermount3", append(args, "--", path)...).CombinedOutput()
	if err == nil {
		return nil
	}
	// fusermount3 gives its reason as text only.
	if bytes.Contains(out, []byte("busy")) {
		return unix.EBUSY
	}
	if text := strings.TrimSpace(string(out)); text != "" {
		return errors.New(text)
	}
	return fmt.Errorf("fusermount3: %w", err)
}

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
