package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/pailfs/pailfs/mountopts"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// addTo adds commands under a heading of help.
func addTo(root *cobra.Command, group string, commands ...*cobra.Command) {
	for _, c := range commands {
		c.GroupID = group
		root.AddCommand(c)
	}
}

// groupFlags shows the options of a mount under headings.
func groupFlags(cmd *cobra.Command, o *mountopts.Options) {
	cmd.SetUsageFunc(func(cmd *cobra.Command) error {
		var b strings.Builder
		fmt.Fprintf(&b, "Usage:\n  %s\n\nExamples:\n%s\n", cmd.UseLine(), cmd.Example)
		for _, g := range o.Groups() {
			fmt.Fprintf(&b, "\n%s:\n%s", g.Title, g.Flags.FlagUsages())
		}
		rest := pflag.NewFlagSet("", pflag.ContinueOnError)
		for _, name := range []string{"options", "help"} {
			rest.AddFlag(cmd.Flags().Lookup(name))
		}
		fmt.Fprintf(&b, "\nOther:\n%s", rest.FlagUsages())
		_, err := fmt.Fprint(cmd.OutOrStdout(), b.String())
		return err
	})
}

// withConfig reads the options anew, so that the file comes before the
// environment and the command line. args are what is left of the command line
// argv without flags: SOURCE MOUNTPOINT, or MOUNTPOINT alone.
func withConfig(o *mountopts.Options, argv, args []string) (*mountopts.Options, error) {
	again := mountopts.New()
	source, err := again.LoadConfig(o.Config, o.Mountpoint)
	if err != nil {
		return nil, err
	}
	if err := again.LoadEnv(os.Environ()); err != nil {
		return nil, err
	}
	flags := pflag.NewFlagSet("mount", pflag.ContinueOnError)
	again.AddFlags(flags)
	if err := flags.Parse(argv[1:]); err != nil {
		return nil, err
	}
	again.Source, again.Mountpoint = source, o.Mountpoint
	if len(args) == 2 {
		again.Source = args[0]
	}
	return again, nil
}
