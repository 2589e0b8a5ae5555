//go:build linux && (amd64 || arm64)

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"

	"github.com/pailfs/pailfs/cache"
	"github.com/pailfs/pailfs/cmd/pailfs/internal/control"
	"github.com/pailfs/pailfs/fs"
	"github.com/pailfs/pailfs/mountopts"
	"github.com/pailfs/pailfs/objstore/retrystore"
	"golang.org/x/sys/unix"
)

// canMount says that this system is one that pailfs mounts on.
const canMount = true

func mountStore(o *mountopts.Options, store *opened, log *slog.Logger) (server, error) {
	blocks := openCache(o, log)
	opt := fs.Options{
		// Not of store itself: it would hide the optional interfaces of the store.
		Store: retrystore.Wrap(store.Store, retrystore.Options{For: o.Timeout, Renew: rereadAll(store.reread), Log: log}), FsName: o.FsName(), MountOptions: o.KernelOptions,
		ReadOnly: o.ReadOnly, AllowOther: o.AllowOther, DefaultPermissions: o.DefaultPermissions,
		UID: o.UID, GID: o.GID, FileMode: o.FileMode, DirMode: o.DirMode,
		Memory: o.Memory, MaxWindow: o.ReadAhead, Cache: blocks, Passthrough: o.Passthrough, Parallel: o.Parallel,
		AttrTTL: o.AttrTTL, Writeback: o.Writeback, FailedWriter: o.FailedWriter, HardLinks: o.HardLinks,
		CommitAsync: o.Commit == "async", CreateOnly: o.CreateOnly, NoDelete: o.NoDelete,
		Size: o.Size, StorageClass: o.StorageClass, SHA256All: o.SHA256 == "all", Timeout: o.Timeout, StateDir: o.StateDir,
		Log: log, Debug: o.Debug,
	}
	var srv *fs.Server
	said, err := withStderr(func() (err error) {
		srv, err = fs.Mount(o.Mountpoint, opt)
		return err
	})
	if err != nil {
		blocks.Close()
	}
	if err != nil && said != "" {
		return nil, fmt.Errorf("%w: %s", err, said)
	}
	if err != nil {
		return nil, err
	}
	return &mounted{Server: srv, opts: o, blocks: blocks}, nil
}

// mounted is a *fs.Server whose unsaved files can be sent over the control
// socket, and whose Unmount may be called by several.
type mounted struct {
	*fs.Server
	opts       *mountopts.Options
	blocks     *cache.Cache
	unmounting sync.Mutex
}

// Unmount returns EBUSY while files are open.
func (m *mounted) Unmount() error {
	m.unmounting.Lock()
	defer m.unmounting.Unlock()
	err := m.Server.Unmount()
	// fusermount3 gives its reason as text only.
	if err != nil && strings.Contains(err.Error(), "busy") {
		return unix.EBUSY
	}
	return err
}

func (m *mounted) Drain(ctx context.Context) []control.Unsaved {
	defer m.blocks.Close()
	return m.tell(m.Server.Drain(ctx))
}

func (m *mounted) Unsaved() []control.Unsaved { return m.tell(m.Server.Unsaved()) }

func (m *mounted) tell(unsaved []fs.Unsaved) []control.Unsaved {
	out := []control.Unsaved{}
	for _, u := range unsaved {
		err := m.opts.Scrub(oneLine(fmt.Sprint(u.Err)))
		out = append(out, control.Unsaved{Key: u.Key, Size: u.Size, Err: err, Kept: u.Kept, At: u.At.UTC()})
	}
	return out
}

func (m *mounted) Uncommitted() []control.File {
	out := []control.File{}
	for _, u := range m.Server.Uncommitted() {
		f := control.File{Key: u.Key, Size: u.Size, Open: u.Open, Local: u.Local}
		if !u.Since.IsZero() {
			since := u.Since.UTC()
			f.Since = &since
		}
		if u.Err != nil {
			f.Err = m.opts.Scrub(oneLine(u.Err.Error()))
		}
		out = append(out, f)
	}
	return out
}

// withStderr runs f and returns what the programs that it starts, such as
// fusermount3, say on stderr: it becomes part of our one line.
func withStderr(f func() error) (said string, err error) {
	fd, err := unix.MemfdCreate("stderr", unix.MFD_CLOEXEC)
	if err != nil {
		return "", f()
	}
	file := os.NewFile(uintptr(fd), "stderr")
	defer file.Close()
	old := os.Stderr
	os.Stderr = file
	err = f()
	os.Stderr = old
	text, _ := io.ReadAll(io.NewSectionReader(file, 0, 64<<10))
	return string(bytes.TrimSpace(text)), err
}
