package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/pailfs/pailfs/mountopts"
	"golang.org/x/sys/unix"
)

// The arguments and the environment of a process are for others to read. One
// whose arguments hold a secret therefore becomes itself again, and starts its
// server process, with harmless arguments and the true ones in a file
// without a name.
const argsEnv = "PAILFS_ARGS_FD"

// hidden are arguments that must not be shown; nil where they
// may be.
type hidden struct{ args []string }

// takeHidden returns the arguments that this process was given in a file
// without a name, if it was.
func takeHidden() (*hidden, error) {
	value, ok := os.LookupEnv(argsEnv)
	if !ok {
		return nil, nil
	}
	os.Unsetenv(argsEnv)
	fd, err := strconv.Atoi(value)
	if err != nil || fd < 3 {
		return nil, fmt.Errorf("%s=%q is not a file descriptor", argsEnv, value)
	}
	file := os.NewFile(uintptr(fd), "arguments")
	defer file.Close()
	text, err := io.ReadAll(file)
	if err != nil {
		return nil, fmt.Errorf("read the arguments: %w", err)
	}
	return &hidden{strings.Split(string(text), "\x00")}, nil
}

// hide takes the secrets of a mount out of arguments and environment, by running
// this program again. It returns only if that fails.
func hide(o *mountopts.Options, args []string) error {
	flags, env := o.EnvSecrets(os.Environ())
	if slices.ContainsFunc(args, func(arg string) bool { return o.Scrub(arg) != arg }) {
		warnOf(o.Secrets())
	}
	// Before all others, so that those of the command line win.
	return again(slices.Concat(args[:1], flags, args[1:]), shown(o), env)
}

// hideURLs does so for the commands that are given URLs and open them at once.
// It returns nil when there is nothing to hide.
func hideURLs(args []string) error {
	show := []string{"pailfs"}
	var names []string
	for _, arg := range args {
		names = append(names, mountopts.URLSecrets(arg)...)
		show = append(show, mountopts.Redact(arg))
	}
	if len(names) == 0 {
		return nil
	}
	warnOf(names)
	return again(args, show, os.Environ())
}

func warnOf(secrets []string) {
	fmt.Fprintf(os.Stderr, "pailfs: warning: others on this machine could read the secret (%s) in the list of processes for a moment; give it by the environment, a profile or a file instead\n",
		strings.Join(secrets, ", "))
}

// again becomes this program with arguments that nobody sees but those shown.
func again(args, shown, env []string) error {
	h := &hidden{args}
	file, err := h.file()
	if err != nil {
		return err
	}
	if _, err := unix.FcntlInt(file.Fd(), unix.F_SETFD, 0); err != nil {
		return fmt.Errorf("hand over the arguments: %w", err)
	}
	err = unix.Exec(program, shown, append(env, fmt.Sprintf("%s=%d", argsEnv, file.Fd())))
	return fmt.Errorf("start again without secrets: %w", err)
}

// file holds the arguments, for takeHidden, and has no name.
func (h *hidden) file() (*os.File, error) {
	file, err := namelessFile(strings.Join(h.args, "\x00"))
	if err != nil {
		return nil, fmt.Errorf("hand over the arguments: %w", err)
	}
	return file, nil
}

// shown are the arguments that a process with hidden ones shows.
func shown(o *mountopts.Options) []string {
	return []string{"pailfs", "mount", mountopts.Redact(o.Source), o.Mountpoint}
}

// scrubWriter hides secrets in what is written to it, a record at a time.
type scrubWriter struct {
	w io.Writer
	o *mountopts.Options
}

func (s scrubWriter) Write(p []byte) (int, error) {
	if _, err := io.WriteString(s.w, s.o.Scrub(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}
