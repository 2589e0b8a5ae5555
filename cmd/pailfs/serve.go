package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/pailfs/pailfs/cmd/pailfs/internal/control"
	"github.com/pailfs/pailfs/cmd/pailfs/internal/mounts"
	"github.com/pailfs/pailfs/mountopts"
	"golang.org/x/sys/unix"
)

// serve is the server process: it mounts, serves until the end, and saves what
// is left. With a ready pipe it is in the background; its errors before the
// mount answers go into the pipe, later ones into the log.
func serve(ctx context.Context, o *mountopts.Options, ready *readyPipe) error {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM)
	hup := make(chan os.Signal, 1)
	if ready == nil && isTerminal(os.Stderr) {
		signal.Notify(signals, unix.SIGHUP) // the terminal went away
	} else {
		signal.Notify(hup, unix.SIGHUP)
	}
	out, err := openLog(o, ready != nil)
	if err != nil {
		return tell(ready, err)
	}
	defer out.close()
	limitMemory(o.Memory)

	l, err := begin(ctx, o, out, signals)
	if err != nil {
		return tell(ready, scrubbed(o, err))
	}
	defer l.lock.Release()
	if err := announce(ready, out, o); err != nil {
		// Nobody is left to hear that the mount answers: it was not wanted.
		out.log.Error("nobody waits for the mount any more", "err", err)
		l.interrupt()
	}
	out.log.Info("mounted", "source", o.FsName(), "at", o.Mountpoint, "version", versionText())
	l.serveHTTP()
	serving, stop := context.WithCancel(ctx)
	defer stop()
	go reload(serving, hup, out, l.store.reread)
	go keepWatchdog(serving, out.log, func() { l.Status() })
	unsaved := l.run(ctx, signals, savingBar(os.Stderr))
	l.control.Close()
	closeListener(l.http)
	for _, u := range unsaved {
		out.log.Error("not saved", "key", u.Key, "size", u.Size, "err", u.Err, "kept", u.Kept)
	}
	out.log.Info("unmounted", "at", o.Mountpoint, "unsaved", len(unsaved))
	if ready != nil && len(unsaved) > 0 {
		return &exitError{code: exitUnsaved}
	}
	return unsavedError(unsaved)
}

// begin does all that can fail while somebody waits for the mount. After an
// error nothing is left mounted.
func begin(ctx context.Context, o *mountopts.Options, out *logOutput, signals <-chan os.Signal) (*life, error) {
	ctx, stop := cancelOn(ctx, signals)
	defer stop()
	if err := prepareMountpoint(ctx, o, out.log); err != nil {
		return nil, err
	}
	lock, err := control.Acquire(o.RunDir, o.Mountpoint)
	if held := (*control.HeldError)(nil); errors.As(err, &held) {
		return nil, fmt.Errorf("%s is being served by process %s, which may still be saving files; `pailfs umount %s` waits for it", o.Mountpoint, held.PID, o.Mountpoint)
	}
	if err != nil {
		return nil, fmt.Errorf("control directory: %w; choose another with --run-dir", err)
	}
	l, err := mountLocked(ctx, o, out, lock)
	if err != nil {
		lock.Release()
		return nil, err
	}
	stop()
	if i := (*interruptError)(nil); errors.As(context.Cause(ctx), &i) {
		l.abandon(ctx)
		lock.Release()
		return nil, i
	}
	return l, nil
}

func mountLocked(ctx context.Context, o *mountopts.Options, out *logOutput, lock *control.Lock) (*life, error) {
	store, err := openPatiently(ctx, o, out.log)
	if err != nil {
		return nil, err
	}
	web, err := listenOn(o, out.log)
	if err != nil {
		store.Close()
		return nil, err
	}
	srv, err := mountStore(o, store, out.log)
	if err != nil {
		store.Close()
		closeListener(web)
		return nil, explainMount(o, err)
	}
	l := newLife(srv, store, o, out, lock)
	l.http = web
	if m, ok := srv.(interface{ cacheUse() control.Cache }); ok {
		l.cache = m.cacheUse
	}
	if err := l.listen(ctx); err != nil {
		l.abandon(ctx)
		return nil, err
	}
	return l, nil
}

func (l *life) listen(ctx context.Context) error {
	if err := mountAnswers(ctx, l.opts.Mountpoint, l.opts.ConnectTimeout); err != nil {
		return err
	}
	m, mounted, err := mounts.At(l.opts.Mountpoint)
	if err != nil {
		return err
	}
	if !mounted {
		return fmt.Errorf("%s was unmounted again at once", l.opts.Mountpoint)
	}
	l.mountID = m.ID
	l.control, err = control.Listen(l.lock, l.log, l.answer)
	if err != nil {
		return fmt.Errorf("control socket: %w; choose another directory with --run-dir", err)
	}
	return nil
}

// cancelOn ends the context at the first signal, until stop. Stop leaves a
// signal that came later in the channel.
func cancelOn(ctx context.Context, signals <-chan os.Signal) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case s := <-signals:
			cancel(&interruptError{s})
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		cancel(nil)
		<-ended
	}
}

type interruptError struct{ signal os.Signal }

func (e *interruptError) Error() string { return "interrupted by " + e.signal.String() }

// tell hands an error to whoever waits for the mount.
func tell(ready *readyPipe, err error) error {
	if ready == nil {
		return err
	}
	if sayErr := ready.say(oneLine(err.Error())); sayErr != nil {
		return err
	}
	return &exitError{code: exitFailed}
}

// announce says that the mount answers: to the waiting parent and to systemd.
func announce(ready *readyPipe, out *logOutput, o *mountopts.Options) error {
	if err := os.Chdir("/"); err != nil {
		return err
	}
	if ready == nil {
		notify(out.log, daemon.SdNotifyReady, status("serving "+o.FsName()+" at "+o.Mountpoint))
		return nil
	}
	if err := leaveTerminal(out.file); err != nil {
		return err
	}
	return ready.say(readyWord)
}
