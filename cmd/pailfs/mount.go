package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/pailfs/pailfs/mountopts"
	"github.com/spf13/cobra"
)

// errNoMount is what the commands about mounts say where nothing can be mounted.
var errNoMount = fmt.Errorf("mounting is not available on %s/%s, only on Linux, on amd64 and arm64; ls, du, cp, rm and verify work here", runtime.GOOS, runtime.GOARCH)

// onlyWhereMounted makes commands say so there, whatever their arguments.
func onlyWhereMounted(commands ...*cobra.Command) {
	for _, cmd := range commands {
		cmd.Args = cobra.ArbitraryArgs
		cmd.RunE = func(*cobra.Command, []string) error { return errNoMount }
	}
}

func mountCommand(argv []string, secret *hidden) *cobra.Command {
	o := mountopts.New()
	envErr := o.LoadEnv(os.Environ())
	cmd := &cobra.Command{
		Use:   "mount [flags] SOURCE MOUNTPOINT",
		Short: "Mount a bucket; returns 0 when the mount answers",
		Long: "Mount a bucket at a directory. SOURCE is file:///directory, s3://bucket[/prefix],\n" +
			"gs://bucket[/prefix], azure://container[/prefix], or minio, r2, b2, wasabi or spaces://bucket[/prefix],\n" +
			"with ?endpoint=...&region=...&profile=... and such where needed. Credentials come from where the provider's own tools take them.\n\n" +
			"Each flag can also be written as -o name=value and as the variable PAILFS_NAME;\n" +
			"-o also takes what mount(8) knows.",
		Example: "  pailfs mount file:///srv/bucket /mnt/bucket\n" +
			"  pailfs mount s3://backups/db /mnt/backups\n" +
			"  pailfs mount -o ro,allow_other 's3://media?endpoint=https://minio.example:9000&path-style=true' /mnt/media",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 && o.Config != "" {
				return nil // the source is in the file
			}
			if len(args) != 2 {
				return usage(errors.New("mount needs a source and a mount point: pailfs mount s3://bucket /mnt"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if envErr != nil {
				return usage(envErr)
			}
			o.Source, o.Mountpoint = args[0], args[len(args)-1]
			if o.Config != "" {
				var err error
				if o, err = withConfig(o, argv, args); err != nil {
					return usage(err)
				}
			}
			if err := o.Finish(); err != nil {
				return usage(err)
			}
			if o.Remount() {
				return remount(o)
			}
			if secret == nil && len(o.Secrets()) > 0 {
				return hide(o, argv)
			}
			ready, err := takeReady()
			if err != nil {
				return err
			}
			if ready == nil && !o.Foreground {
				return start(cmd.Context(), o, secret)
			}
			return serve(cmd.Context(), o, ready)
		},
	}
	o.AddFlags(cmd.Flags())
	cmd.Flags().SortFlags = false
	groupFlags(cmd, o)
	return cmd
}
