package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/pailfs/pailfs/cmd/pailfs/internal/control"
	"github.com/pailfs/pailfs/cmd/pailfs/internal/mounts"
	"github.com/pailfs/pailfs/mountopts"
	"golang.org/x/sys/unix"
)

// remount makes a mount read-only or read-write, as `mount -o remount,ro` asks.
// All other options stay what they are.
func remount(o *mountopts.Options) error {
	point, err := mounts.Resolve(o.Mountpoint)
	if err != nil {
		return fmt.Errorf("remount %s: %w", o.Mountpoint, reason(err))
	}
	m, mounted, err := mounts.At(point)
	if err != nil {
		return err
	}
	if !mounted || m.Type != mounts.Type {
		return fmt.Errorf("remount %s: no pailfs is mounted there", point)
	}
	if !o.ReadOnly {
		if err := mayWrite(point, o.RunDir, m.Owner); err != nil {
			return err
		}
	}
	err = remountAt(point, m.Flags, o.ReadOnly)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("remount %s: files are open for writing there: %s", point, strings.Join(who(point, os.Getpid()), "; "))
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("remount %s: only root can; unmount, and mount it again", point)
	}
	return fmt.Errorf("remount %s: %w", point, err)
}

// mayWrite asks the server whether it was mounted to write: a store that was
// opened to read has not been tried.
func mayWrite(point, runDir string, owner int) error {
	c := dial(point, runDir, owner)
	if c == nil {
		return fmt.Errorf("remount %s: its server does not answer", point)
	}
	defer c.Close()
	a, err := c.Do(control.Request{Status: true}, nil)
	switch {
	case err != nil:
		return fmt.Errorf("remount %s: %w", point, err)
	case a.Status == nil:
		return fmt.Errorf("remount %s: %s", point, a.Err)
	case a.Status.ReadOnly:
		return fmt.Errorf("remount %s: it was mounted read-only from the start; unmount, and mount it again", point)
	}
	return nil
}
