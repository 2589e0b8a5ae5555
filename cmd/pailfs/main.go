// Command pailfs mounts a bucket as a file system.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/pailfs/pailfs/mountopts"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Exit codes. mount(8) and scripts see them.
const (
	exitFailed  = 1
	exitUsage   = 2
	exitUnsaved = 3 // unmounted, but not everything is committed
)

func main() {
	// The server process is started through /proc/self/exe: in lists of
	// processes it would be called "exe".
	_ = os.WriteFile("/proc/self/comm", []byte("pailfs"), 0)
	completeEnvironment()
	os.Exit(run(os.Args, os.Stderr))
}

// run is main with its outside given. Whatever goes wrong is one line on
// stderr.
func run(argv []string, stderr io.Writer) int {
	secret, err := takeHidden()
	var args []string
	var done bool
	switch {
	case err != nil:
	case secret != nil:
		args = secret.args
	default:
		args, done, err = arguments(argv)
	}
	if done {
		return 0
	}
	if err == nil {
		cmd := root(args, secret)
		cmd.SetArgs(args)
		err = cmd.Execute()
	}
	if err == nil {
		return 0
	}
	if text := err.Error(); text != "" {
		fmt.Fprintln(stderr, "pailfs:", oneLine(text))
	}
	if code := (*exitError)(nil); errors.As(err, &code) {
		return code.code
	}
	return exitFailed
}

// exitError ends the program with a code. A nil err says that what there was
// to say has been said.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func usage(err error) error { return &exitError{code: exitUsage, err: err} }

// arguments turns the ways in which mount(8) and umount(8) call us into our
// own. done: there is nothing to do.
func arguments(argv []string) (args []string, done bool, err error) {
	name, rest := filepath.Base(argv[0]), argv[1:]
	switch {
	case strings.HasPrefix(name, "mount."):
		return mountArguments(rest)
	case strings.HasPrefix(name, "umount."):
		return umountArguments(rest)
	case len(rest) > 0 && strings.Contains(rest[0], "://"):
		// mount.fuse3 runs `pailfs SOURCE MOUNTPOINT -o ...`.
		return append([]string{"mount"}, rest...), false, nil
	}
	return rest, false, nil
}

// root is the command line. The commands that hand their arguments on are given
// them, and those that must not be shown.
func root(args []string, secret *hidden) *cobra.Command {
	cmd := &cobra.Command{
		Use:           "pailfs",
		Short:         "Mount a bucket as a file system",
		Long:          "pailfs mounts a bucket (S3 and what speaks S3, Google Cloud Storage, Azure Blob Storage, or a directory) as a file system.\nOne file is one object, and close(2) returns 0 only when the object is there.",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.SuggestionsMinimumDistance = 2
	cmd.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if secret != nil || cmd.Name() == "mount" { // which has options besides
			return nil
		}
		return hideURLs(args)
	}
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usage(flagError(cmd, err)) })
	cmd.AddGroup(&cobra.Group{ID: "mounts", Title: "Mounts:"}, &cobra.Group{ID: "objects", Title: "Objects, without a mount:"})
	mount, umount, status := mountCommand(args, secret), umountCommand(), statusCommand()
	if !canMount {
		onlyWhereMounted(mount, umount, status)
	}
	addTo(cmd, "mounts", mount, umount, status, doctorCommand())
	addTo(cmd, "objects", lsCommand(), duCommand(), cpCommand(), rmCommand(), verifyCommand())
	cmd.AddCommand(versionCommand(), manCommand())
	return cmd
}

// noCommand is called with arguments when their first one is no command.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := "`pailfs --help` lists what there is"
	if like := cmd.SuggestionsFor(args[0]); len(like) > 0 {
		hint = "did you mean " + strings.Join(like, " or ") + "?"
	}
	return usage(fmt.Errorf("unknown command %q; %s", args[0], hint))
}

// flagError says the same for --name=value as for -o name=value.
func flagError(cmd *cobra.Command, err error) error {
	if o := (*mountopts.OptionError)(nil); errors.As(err, &o) {
		return o
	}
	if n := (*pflag.NotExistError)(nil); errors.As(err, &n) && cmd.Name() == "mount" {
		return fmt.Errorf("%w%s", err, mountopts.New().Suggest(n.GetSpecifiedName()))
	}
	if v := (*pflag.InvalidValueError)(nil); errors.As(err, &v) {
		return &mountopts.OptionError{Name: v.GetFlag().Name, Value: v.GetValue(), Err: v.Unwrap()}
	}
	return err
}

// oneLine folds a text with line breaks into one line.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
