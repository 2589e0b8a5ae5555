package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"regexp"
	"time"

	"github.com/pailfs/pailfs/cmd/pailfs/internal/mounts"
	"github.com/pailfs/pailfs/mountopts"
	"golang.org/x/sys/unix"
)

// prepareMountpoint makes sure, before anything is asked of the network, that
// the file system can be mounted, and cleans up after a server that died.
func prepareMountpoint(ctx context.Context, o *mountopts.Options, log *slog.Logger) error {
	point, err := mounts.Resolve(o.Mountpoint)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("mount point %s does not exist; create it: mkdir -p %s", o.Mountpoint, o.Mountpoint)
	}
	if err != nil {
		return fmt.Errorf("mount point %s: %w", o.Mountpoint, reason(err))
	}
	o.Mountpoint = point
	n, err := mounts.ClearDead(ctx, point)
	if err != nil {
		return err
	}
	if n > 0 {
		log.Warn("removed a mount whose server was dead", "at", point, "mounts", n)
	}
	m, mounted, err := mounts.At(point)
	if err != nil {
		return err
	}
	if mounted && m.Type == mounts.Type {
		return fmt.Errorf("%s is already mounted at %s; unmount it first: pailfs umount %s", m.Source, point, point)
	}
	if err := checkDirectory(point, o.Nonempty); err != nil {
		return err
	}
	if err := checkFuse(); err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return checkUser(o)
	}
	return nil
}

func checkDirectory(point string, nonempty bool) error {
	d, err := os.Open(point)
	if err != nil {
		return fmt.Errorf("mount point %s: %w", point, reason(err))
	}
	defer d.Close()
	if fi, err := d.Stat(); err != nil || !fi.IsDir() {
		return fmt.Errorf("mount point %s is not a directory", point)
	}
	if nonempty {
		return nil
	}
	switch names, err := d.Readdirnames(1); {
	case len(names) > 0:
		return fmt.Errorf("mount point %s is not empty; choose another, or hide what is there with --nonempty", point)
	case err != nil && !errors.Is(err, io.EOF):
		return fmt.Errorf("mount point %s: %w", point, reason(err))
	}
	return nil
}

const (
	fuseDevice = "/dev/fuse"
	fuseConf   = "/etc/fuse.conf"
)

func checkFuse() error {
	f, err := os.OpenFile(fuseDevice, os.O_RDWR, 0)
	if err == nil {
		return f.Close()
	}
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return fmt.Errorf("no %s here; load it with `modprobe fuse`, or give it to the container: --device %s --cap-add SYS_ADMIN", fuseDevice, fuseDevice)
	case errors.Is(err, os.ErrPermission) && os.Geteuid() != 0:
		return nil // fusermount3 opens it as root
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%s may not be used; a container needs --device %s --cap-add SYS_ADMIN", fuseDevice, fuseDevice)
	}
	return fmt.Errorf("open %s: %w", fuseDevice, reason(err))
}

var userAllowOther = regexp.MustCompile(`(?m)^\s*user_allow_other\s*(#.*)?$`)

// checkUser finds out what fusermount3 would refuse to somebody who is not root.
func checkUser(o *mountopts.Options) error {
	if _, err := exec.LookPath("fusermount3"); err != nil {
		return errors.New("fusermount3 is missing, without which only root can mount; install the package fuse3")
	}
	if unix.Access(o.Mountpoint, unix.W_OK) != nil {
		return fmt.Errorf("mount point %s is not writable by you; use a directory of your own, or mount as root", o.Mountpoint)
	}
	if o.AllowOther {
		if conf, err := os.ReadFile(fuseConf); err != nil || !userAllowOther.Match(conf) {
			return errors.New("allow-other is for root only here; root can permit it with a line user_allow_other in " + fuseConf)
		}
	}
	return nil
}

// fuseMagic is FUSE_SUPER_MAGIC of statfs(2).
const fuseMagic = 0x65735546

// mountAnswers returns when the file system at a path has answered a call.
func mountAnswers(ctx context.Context, path string, wait time.Duration) error {
	type answer struct {
		st  unix.Statfs_t
		err error
	}
	got := make(chan answer, 1)
	go func() {
		var a answer
		a.err = unix.Statfs(path, &a.st)
		got <- a
	}()
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	select {
	case a := <-got:
		if a.err != nil {
			return fmt.Errorf("mounted, but %s does not answer: %w", path, a.err)
		}
		if a.st.Type != fuseMagic {
			return fmt.Errorf("%s was unmounted again at once", path)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("mounted, but %s does not answer: %w", path, context.Cause(ctx))
	}
}
