package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/pailfs/pailfs/mountopts"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Results of a check.
const (
	good = "ok"
	warn = "warn" // works, but something is worth knowing
	bad  = "FAIL" // something will not work
	skip = "skip" // could not be looked at
)

// finding is the result of one check.
type finding struct {
	Check  string `json:"check"`
	Result string `json:"result"` // ok, warn, FAIL or skip
	Detail string `json:"detail"` // what was found
	Do     string `json:"do,omitempty"`
}

func doctorCommand() *cobra.Command {
	o := mountopts.New()
	envErr := o.LoadEnv(os.Environ())
	var asJSON, fix bool
	cmd := &cobra.Command{
		Use:   "doctor [flags] [SOURCE [MOUNTPOINT]]",
		Short: "Check the machine, a bucket and a mount point, and say what to do",
		Long: "Check what a mount needs of this machine; with a SOURCE also what it needs of the bucket, each right by trying it on\n" +
			"small objects below .pailfs/ that are deleted again (with --read-only nothing is written); with a MOUNTPOINT also\n" +
			"that nothing lands on the local disk while nothing is mounted. It takes the flags of mount.\n" +
			"The exit code is 1 when something will not work.",
		Example: "  pailfs doctor\n  pailfs doctor s3://backups/db /mnt/backups\n  pailfs doctor --fix s3://backups/db /mnt/backups",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 2 {
				return usage(errors.New("doctor takes a source and a mount point at most"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if envErr != nil {
				return usage(envErr)
			}
			point := ""
			if len(args) == 2 {
				point = args[1]
			}
			found := checkMachine(o)
			if point != "" {
				found = append(found, checkMountpoint(point, fix))
			}
			found = append(found, checkUpdatedb("/etc/updatedb.conf", fix))
			if len(args) > 0 {
				if err := finishFor(o, args[0]); err != nil {
					return usage(err)
				}
				found = append(found, examineStore(cmd.Context(), o)...)
			}
			return tellFindings(cmd.OutOrStdout(), found, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&fix, "fix", false, "make the mount point refuse files while nothing is mounted, and keep updatedb out (as root)")
	o.AddFlags(cmd.Flags())
	cmd.Flags().VisitAll(func(f *pflag.Flag) { f.Hidden = f.Name != "json" && f.Name != "fix" })
	return cmd
}

// finishFor finishes options for a command that mounts nothing.
func finishFor(o *mountopts.Options, source string) error {
	o.Source, o.Mountpoint = source, "/"
	return o.Finish()
}

func tellFindings(w io.Writer, found []finding, asJSON bool) error {
	failed := 0
	for _, f := range found {
		if f.Result == bad {
			failed++
		}
	}
	if asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		if err := e.Encode(found); err != nil {
			return err
		}
	} else {
		for _, f := range found {
			line := fmt.Sprintf("%-4s  %-20s %s", f.Result, f.Check, oneLine(f.Detail))
			if f.Do != "" {
				line += "\n" + fmt.Sprintf("%26s -> %s", "", f.Do)
			}
			if _, err := fmt.Fprintln(w, line); err != nil {
				return err
			}
		}
	}
	if failed > 0 {
		return &exitError{exitFailed, fmt.Errorf("%d of %d checks failed", failed, len(found))}
	}
	return nil
}

// examineStore is checkStore on the source of the options.
func examineStore(ctx context.Context, o *mountopts.Options) []finding {
	quiet := slog.New(slog.DiscardHandler)
	s, err := openStore(ctx, o, quiet)
	if err == nil {
		defer s.Close()
		return append(checkStore(ctx, s.Store, o), describeBucket(ctx, o)...)
	}
	connect := finding{Check: "connect", Result: bad, Detail: o.Scrub(err.Error())}
	if o.ReadOnly {
		return []finding{connect}
	}
	// Is it writing alone that is refused?
	reading := *o
	reading.ReadOnly = true
	s, rerr := openStore(ctx, &reading, quiet)
	if rerr != nil {
		return []finding{connect}
	}
	defer s.Close()
	connect.Check = "write"
	return append(checkStore(ctx, s.Store, &reading), connect)
}
