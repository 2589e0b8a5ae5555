package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/pailfs/pailfs/cmd/pailfs/internal/control"
	"github.com/pailfs/pailfs/cmd/pailfs/internal/mounts"
	"github.com/pailfs/pailfs/mountopts"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

func umountCommand() *cobra.Command {
	var lazy bool
	var runDir string
	cmd := &cobra.Command{
		Use:     "umount MOUNTPOINT",
		Aliases: []string{"unmount"},
		Short:   "Unmount, and wait until everything is committed",
		Long: "Unmount a bucket, wait until everything is committed and the server process has ended.\n" +
			"What could not be committed is listed, and the exit code is 3.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(errors.New("umount needs a mount point: pailfs umount /mnt"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return umount(cmd.Context(), args[0], runDir, lazy)
		},
	}
	cmd.Flags().BoolVarP(&lazy, "lazy", "l", false, "unmount also when files are open; what was written to them so far is saved")
	cmd.Flags().StringVar(&runDir, "run-dir", os.Getenv("PAILFS_RUN_DIR"), "directory for control sockets, as given to mount")
	return cmd
}

func umount(ctx context.Context, path, runDir string, lazy bool) error {
	point, err := mounts.Resolve(path)
	if err != nil {
		return fmt.Errorf("unmount %s: %w", path, reason(err))
	}
	m, mounted, err := mounts.At(point)
	if err != nil {
		return err
	}
	if mounted && m.Type != mounts.Type {
		return fmt.Errorf("%s is not a pailfs mount but %s (%s); use umount", point, m.Source, m.Type)
	}
	if c := dial(point, runDir, m.Owner); c != nil {
		defer c.Close()
		return askServer(c, point, lazy)
	}
	if !mounted {
		return fmt.Errorf("%s is not mounted", point)
	}
	return withoutServer(ctx, point, lazy)
}

// dial finds the server process of a mount, also one that is no longer mounted
// but still saving. Root finds everybody's.
func dial(point, runDir string, owner int) *control.Client {
	uids := []int{os.Getuid()}
	if os.Getuid() == 0 && owner != 0 {
		uids = append(uids, owner)
	}
	for _, uid := range uids {
		dirs := []string{runDir}
		if runDir == "" {
			user := func(name string) string {
				if name == "XDG_RUNTIME_DIR" && uid != os.Getuid() {
					return filepath.Join("/run/user", strconv.Itoa(uid))
				}
				return os.Getenv(name)
			}
			none := func(string) string { return "" }
			dirs = []string{mountopts.DefaultRunDir(uid, user), mountopts.DefaultRunDir(uid, none)}
		}
		for _, dir := range dirs {
			if c, err := control.Dial(dir, uid, point); err == nil {
				return c
			}
		}
	}
	return nil
}

func askServer(c *control.Client, point string, lazy bool) error {
	answer, err := c.Do(control.Request{Unmount: true, Lazy: lazy, PID: os.Getpid()}, savingBar(os.Stderr))
	if err != nil {
		c.WaitEnd()
		return fmt.Errorf("unmount %s: %w; its log says more", point, err)
	}
	if len(answer.Busy) > 0 {
		return busy(point, answer.Busy)
	}
	if answer.Err != "" {
		return fmt.Errorf("unmount %s: %s", point, answer.Err)
	}
	c.WaitEnd()
	return unsavedError(answer.Unsaved)
}

// unsavedError lists what is not committed, a line each, and is nil when
// everything is.
func unsavedError(unsaved []control.Unsaved) error {
	if len(unsaved) == 0 {
		return nil
	}
	for _, u := range unsaved {
		fmt.Fprintln(os.Stderr, "pailfs:", oneLine(u.String()))
	}
	return &exitError{exitUnsaved, fmt.Errorf("%d of the files written could not be saved", len(unsaved))}
}

// withoutServer unmounts when no server process answers: it was killed, or it
// is not one of this version.
func withoutServer(ctx context.Context, point string, lazy bool) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	unmount := mounts.Unmount
	if lazy || mounts.Dead(point, 5*time.Second) {
		unmount = mounts.Detach
	}
	err := unmount(ctx, point)
	switch {
	case errors.Is(err, unix.EBUSY):
		return busy(point, who(point, os.Getpid()))
	case err != nil:
		return fmt.Errorf("unmount %s: %w", point, reason(err))
	}
	return nil
}

// who names the processes that use a mount, but for the one that asks.
func who(point string, asking int) []string {
	var out []string
	for _, u := range mounts.Users(point) {
		if u.PID != asking {
			out = append(out, u.String())
		}
	}
	if len(out) == 0 {
		out = append(out, "a process that does not show itself in /proc uses it")
	}
	return out
}

const listAtMost = 8

func busy(point string, users []string) error {
	if more := len(users) - listAtMost; more > 0 {
		users = append(users[:listAtMost:listAtMost], fmt.Sprintf("and %d more", more))
	}
	return fmt.Errorf("%s is busy: %s; end these first, or use `pailfs umount --lazy %s`", point, strings.Join(users, "; "), point)
}
