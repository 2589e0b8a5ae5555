package main

import (
	"context"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/pailfs/pailfs/cmd/pailfs/internal/control"
	"github.com/pailfs/pailfs/cmd/pailfs/internal/listen"
	"github.com/pailfs/pailfs/cmd/pailfs/internal/mounts"
	"github.com/pailfs/pailfs/mountopts"
	"github.com/pailfs/pailfs/objstore/countstore"
)

// server is the mounted file system as its process sees it.
type server interface {
	Wait()
	Unmount() error
	Drain(ctx context.Context) []control.Unsaved
	Uncommitted() []control.File // never nil
	Unsaved() []control.Unsaved  // never nil
}

// life is one mount from the moment it answers until its process may end.
type life struct {
	srv     server
	store   *opened
	counter *countstore.Counter  // of the store
	cache   func() control.Cache // nil without a cache
	opts    *mountopts.Options
	prices  *prices // of requests; nil where they are not known
	log     *slog.Logger
	level   *slog.LevelVar
	http    *listen.Server // nil without --listen
	started time.Time
	pid     int
	lock    *control.Lock
	control *control.Server
	mountID int
	grace   time.Duration // how long a signal waits for open files to be closed

	gone     chan struct{} // closed when the kernel has let go of the mount
	detach   chan struct{} // closed to end the mount with files open
	once     sync.Once
	over     chan struct{} // closed when unsaved is known
	unsaved  []control.Unsaved
	findUser func(path string, asking int) []string // what keeps a mount busy
}

func newLife(srv server, store *opened, o *mountopts.Options, out *logOutput, lock *control.Lock) *life {
	l := &life{srv: srv, store: store, counter: store.counter, opts: o, prices: pricesOf(o), log: out.log, level: out.level, lock: lock,
		started: time.Now(), pid: os.Getpid(), grace: 3 * time.Second, findUser: who,
		gone: make(chan struct{}), detach: make(chan struct{}), over: make(chan struct{})}
	go func() {
		srv.Wait()
		close(l.gone)
	}()
	return l
}

// interrupt ends the mount at once, whether files are open or not.
func (l *life) interrupt() { l.once.Do(func() { close(l.detach) }) }

// run serves until the file system is unmounted by somebody or a signal says
// stop, then saves what is left, and tells of its progress. A second signal ends
// the saving.
func (l *life) run(ctx context.Context, signals <-chan os.Signal, tell func(control.Progress)) []control.Unsaved {
	select {
	case <-l.gone:
	case <-l.detach:
		l.takeAway(ctx)
	case s := <-signals:
		l.log.Info("stopping", "signal", s.String())
		if !l.unmountWithin(l.grace) {
			l.log.Warn("files are still open, unmounting under them", "users", l.findUser(l.opts.Mountpoint, 0))
			l.takeAway(ctx)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, l.opts.DrainTimeout)
	defer cancel()
	ctx, stop := cancelOn(ctx, signals)
	defer stop()
	l.unsaved = l.save(ctx, tell)
	if err := l.store.Close(); err != nil {
		l.log.Warn("close the store", "err", err)
	}
	// A connection that was aborted leaves the mount point behind, dead.
	l.takeAway(context.WithoutCancel(ctx))
	close(l.over)
	return l.unsaved
}

// save is Drain, with progress told to tell and to systemd.
func (l *life) save(ctx context.Context, tell func(control.Progress)) []control.Unsaved {
	watching, stop := context.WithCancel(ctx)
	var told sync.WaitGroup
	told.Go(func() {
		l.beginSaving().every(watching, time.Second, func(p control.Progress) {
			notify(l.log, daemon.SdNotifyStopping, extend(time.Second), status(progressText(p)))
			if tell != nil {
				tell(p)
			}
		})
	})
	defer told.Wait()
	defer stop()
	return l.srv.Drain(ctx)
}

// unmountWithin tries until the time is over; it says whether it is unmounted.
func (l *life) unmountWithin(wait time.Duration) bool {
	end := time.After(wait)
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		if l.srv.Unmount() == nil {
			return true
		}
		select {
		case <-l.gone:
			return true
		case <-end:
			return false
		case <-again.C:
		}
	}
}

// takeAway removes the mount from its path, if it is still there.
func (l *life) takeAway(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	m, mounted, err := mounts.At(l.opts.Mountpoint)
	if err == nil && mounted && m.ID == l.mountID {
		err = mounts.Detach(ctx, l.opts.Mountpoint)
	}
	if err != nil {
		l.log.Error("unmount", "at", l.opts.Mountpoint, "err", err)
	}
}

// abandon takes back a mount that never was announced.
func (l *life) abandon(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := l.srv.Unmount(); err != nil {
		if err := mounts.Detach(ctx, l.opts.Mountpoint); err != nil {
			l.log.Error("unmount", "at", l.opts.Mountpoint, "err", err)
		}
	}
	l.unsaved = l.srv.Drain(ctx)
	close(l.over)
	if l.control != nil {
		l.control.Close()
	}
	closeListener(l.http)
	l.store.Close()
}
