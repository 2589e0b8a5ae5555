package mounts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

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
