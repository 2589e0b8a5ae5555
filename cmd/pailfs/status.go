package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pailfs/pailfs/cmd/pailfs/internal/control"
	"github.com/pailfs/pailfs/cmd/pailfs/internal/mounts"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// statusFlags are those of `pailfs status`.
type statusFlags struct {
	json, watch bool
	wait        string
	timeout     time.Duration
	logLevel    string
	runDir      string
}

func statusCommand() *cobra.Command {
	var f statusFlags
	cmd := &cobra.Command{
		Use:   "status [MOUNTPOINT]",
		Short: "Show what a mount is doing, and wait for a file to be committed",
		Long: "Show the health of a mount, or of all of them: files that are being written or could not be saved, transfers,\n" +
			"calls of the store and their errors. The exit code is 1 when a mount is not healthy.",
		Example: "  pailfs status --watch /mnt/backups\n" +
			"  pailfs status --json | jq -r '.[] | .health'\n" +
			"  pailfs status --wait /mnt/backups/db.dump   # returns 0 once it is committed",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage(errors.New("status takes one mount point at most"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case f.wait != "":
				return waitCommitted(cmd.OutOrStdout(), f)
			case f.logLevel != "":
				return setLogLevel(args, f)
			case f.watch:
				return watch(cmd.Context(), cmd.OutOrStdout(), args, f)
			}
			all, err := statuses(args, f.runDir)
			if err != nil {
				return err
			}
			if err := printStatuses(cmd.OutOrStdout(), all, nil, f.json); err != nil {
				return err
			}
			return unhealthy(all)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.json, "json", false, "print JSON: a list of mounts, or the object of --wait")
	flags.BoolVar(&f.watch, "watch", false, "show it again each second")
	flags.StringVar(&f.wait, "wait", "", "`PATH` of a file in a mount: return when it is committed, and print its version and checksum")
	flags.DurationVar(&f.timeout, "timeout", 0, "longest wait of --wait; 0 is for ever")
	flags.StringVar(&f.logLevel, "set-log-level", "", "log `debug, info, warn or error` and what is worse from now on")
	flags.StringVar(&f.runDir, "run-dir", os.Getenv("PAILFS_RUN_DIR"), "directory for control sockets, as given to mount")
	return cmd
}

// statuses asks the servers of one mount, or of all mounts there are.
func statuses(args []string, runDir string) ([]control.Status, error) {
	points := args
	if len(args) == 0 {
		all, err := mounts.Ours()
		if err != nil {
			return nil, err
		}
		for _, m := range all {
			points = append(points, m.Point)
		}
	}
	out := []control.Status{}
	for _, point := range points {
		a, err := askMount(point, runDir, control.Request{Status: true})
		if err != nil {
			return nil, err
		}
		out = append(out, *a.Status)
	}
	return out, nil
}

// askMount asks the server of a mount. What it refuses is an error.
func askMount(path, runDir string, req control.Request) (control.Answer, error) {
	point, err := mounts.Resolve(path)
	if err != nil {
		return control.Answer{}, fmt.Errorf("%s: %w", path, reason(err))
	}
	m, mounted, err := mounts.At(point)
	if err != nil {
		return control.Answer{}, err
	}
	c := dial(point, runDir, m.Owner)
	switch {
	case c == nil && !mounted:
		return control.Answer{}, fmt.Errorf("%s is not mounted; `pailfs status` alone lists what is", point)
	case c == nil && m.Type == mounts.Type:
		return control.Answer{}, fmt.Errorf("%s: its server does not answer: it belongs to another user, has another --run-dir, or was killed (then `pailfs mount` cleans up)", point)
	case c == nil:
		return control.Answer{}, fmt.Errorf("%s is not a pailfs mount but %s (%s)", point, m.Source, m.Type)
	}
	defer c.Close()
	a, err := c.Do(req, nil)
	if err == nil && a.Err != "" {
		err = errors.New(a.Err)
	}
	if err != nil {
		return control.Answer{}, fmt.Errorf("%s: %w", point, err)
	}
	return a, nil
}

func printStatuses(w io.Writer, all, before []control.Status, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(all)
	}
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "nothing is mounted")
		return err
	}
	for i, s := range all {
		if i > 0 {
			fmt.Fprintln(w)
		}
		var old *control.Status
		if j := slices.IndexFunc(before, func(b control.Status) bool { return b.PID == s.PID }); j >= 0 {
			old = &before[j]
		}
		if err := printStatus(w, s, old); err != nil {
			return err
		}
	}
	return nil
}

func unhealthy(all []control.Status) error {
	for _, s := range all {
		if s.Health == control.Failing {
			return &exitError{code: exitFailed}
		}
	}
	return nil
}

// watch shows the status again and again, until it is interrupted or the mount
// has gone.
func watch(ctx context.Context, w io.Writer, args []string, f statusFlags) error {
	ctx, stop := signal.NotifyContext(ctx, unix.SIGINT, unix.SIGTERM)
	defer stop()
	var before []control.Status
	screen := w == os.Stdout && isTerminal(os.Stdout) && !f.json
	for tick := time.NewTicker(time.Second); ; {
		all, err := statuses(args, f.runDir)
		if err != nil {
			return err
		}
		var text strings.Builder
		if err := printStatuses(&text, all, before, f.json); err != nil {
			return err
		}
		if screen {
			fmt.Fprint(w, "\x1b[H\x1b[2J") // home, and clear
		}
		if _, err := io.WriteString(w, text.String()); err != nil {
			return err
		}
		before = all
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func waitCommitted(w io.Writer, f statusFlags) error {
	point, key, err := inMount(f.wait)
	if err != nil {
		return err
	}
	if f.timeout > 0 {
		// The server waits for as long as we do.
		end := time.AfterFunc(f.timeout, func() {
			fmt.Fprintf(os.Stderr, "pailfs: %s is not committed after %s\n", f.wait, f.timeout)
			os.Exit(exitFailed)
		})
		defer end.Stop()
	}
	a, err := askMount(point, f.runDir, control.Request{Wait: key})
	if err != nil {
		return err
	}
	if f.json {
		return json.NewEncoder(w).Encode(a.Object)
	}
	_, err = fmt.Fprintln(w, objectLine(*a.Object))
	return err
}

// inMount splits a path into the mount that it is in, and the key there.
func inMount(path string) (point, key string, err error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", "", err
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(abs)); err == nil {
		abs = filepath.Join(dir, filepath.Base(abs))
	}
	all, err := mounts.Ours()
	if err != nil {
		return "", "", err
	}
	for _, m := range all {
		if rest, ok := strings.CutPrefix(abs, m.Point+"/"); ok && len(m.Point) > len(point) {
			point, key = m.Point, rest
		}
	}
	if point == "" {
		return "", "", fmt.Errorf("%s is in no pailfs mount", path)
	}
	return point, key, nil
}

func setLogLevel(args []string, f statusFlags) error {
	if len(args) == 0 {
		return usage(errors.New("--set-log-level needs a mount point"))
	}
	_, err := askMount(args[0], f.runDir, control.Request{LogLevel: f.logLevel})
	return err
}
