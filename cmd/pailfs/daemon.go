package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/pailfs/pailfs/mountopts"
	"golang.org/x/sys/unix"
)

// The server process is this program again, with one end of a pipe. It writes
// readyWord when the mount answers, else its one line of error.
const (
	readyEnv  = "PAILFS_READY_FD"
	readyWord = "ready"
)

// start runs the server process and returns when its mount answers.
func start(ctx context.Context, o *mountopts.Options, secret *hidden) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	// What the caller has open must not stay open for as long as the mount.
	if err := closeOnExec(3); err != nil {
		return fmt.Errorf("close inherited files: %w", err)
	}
	cmd := exec.CommandContext(ctx, program)
	cmd.Args = os.Args
	cmd.Env = append(os.Environ(), readyEnv+"=3")
	cmd.ExtraFiles = []*os.File{w}
	if secret != nil {
		file, err := secret.file()
		if err != nil {
			return err
		}
		cmd.Args = shown(o)
		cmd.Env = append(cmd.Env, argsEnv+"=4")
		cmd.ExtraFiles = append(cmd.ExtraFiles, file)
	}
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	// A ^C while waiting goes to us, not to the new session: pass it on.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer signal.Stop(signals)
	err = cmd.Start()
	for _, f := range cmd.ExtraFiles {
		f.Close() // the server process has them
	}
	if err != nil {
		return fmt.Errorf("start the server process: %w", err)
	}
	said := make(chan string, 1)
	go func() {
		text, _ := io.ReadAll(r)
		said <- string(text)
	}()
	for {
		select {
		case s := <-signals:
			cmd.Process.Signal(s)
		case text := <-said:
			if text == readyWord {
				return cmd.Process.Release()
			}
			return failure(text, cmd.Wait())
		}
	}
}

func failure(text string, waitErr error) error {
	code := exitFailed
	if e := (*exec.ExitError)(nil); errors.As(waitErr, &e) && e.ExitCode() > 0 {
		code = e.ExitCode()
	}
	if text == "" {
		return &exitError{code, fmt.Errorf("the server process ended before the mount answered: %v", waitErr)}
	}
	return &exitError{code, errors.New(text)}
}

// readyPipe is the server process's end of the pipe. A nil one is that of a
// server in the foreground.
type readyPipe struct{ file *os.File }

func takeReady() (*readyPipe, error) {
	value, ok := os.LookupEnv(readyEnv)
	if !ok {
		return nil, nil
	}
	os.Unsetenv(readyEnv)
	fd, err := strconv.Atoi(value)
	if err != nil || fd < 3 {
		return nil, fmt.Errorf("%s=%q is not a file descriptor", readyEnv, value)
	}
	unix.CloseOnExec(fd)
	return &readyPipe{os.NewFile(uintptr(fd), "ready pipe")}, nil
}

// say tells the waiting parent; an error means that it is gone.
func (p *readyPipe) say(text string) error {
	_, err := io.WriteString(p.file, text)
	return errors.Join(err, p.file.Close())
}

// leaveTerminal points stdin, stdout and stderr of a server process away from
// who started it: to log, or to nowhere.
func leaveTerminal(log *logFile) error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	for fd := range 3 {
		if err := replaceFD(int(null.Fd()), fd); err != nil {
			return err
		}
	}
	if log == nil {
		return nil
	}
	log.mu.Lock()
	defer log.mu.Unlock()
	return log.takeStdio()
}
