package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync/atomic"

	"github.com/pailfs/pailfs/objstore"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

type rmFlags struct {
	recursive, dryRun, everything bool
}

func rmCommand() *cobra.Command {
	var f rmFlags
	cmd := &cobra.Command{
		Use:     "rm [-r] URL...",
		Short:   "Delete objects without mounting",
		Long:    "Delete objects; with -r also directories and all below them. " + locationHelp,
		Example: "  pailfs rm s3://backups/db/old.dump\n  pailfs rm -r --dry-run s3://backups/2019/",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage(errors.New("rm needs a URL: pailfs rm s3://bucket/key"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), unix.SIGINT, unix.SIGTERM)
			defer stop()
			for _, arg := range args {
				if err := remove(ctx, cmd.OutOrStdout(), arg, f); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVarP(&f.recursive, "recursive", "r", false, "delete directories, and all below them")
	cmd.Flags().BoolVarP(&f.dryRun, "dry-run", "n", false, "say what would be deleted, and delete nothing")
	cmd.Flags().BoolVar(&f.everything, "everything", false, "let -r empty a whole bucket")
	return cmd
}

func remove(ctx context.Context, out io.Writer, raw string, f rmFlags) error {
	at, err := locate(raw)
	if err != nil {
		return usage(err)
	}
	if at.wholeBucket() && !f.everything {
		return usage(fmt.Errorf("%s is a whole bucket: to empty it, add --everything", at))
	}
	s, o, err := openLocation(ctx, at, f.dryRun, false)
	if err != nil {
		return err
	}
	defer s.Close()
	del := func(key string) error {
		if f.dryRun {
			_, err := fmt.Fprintln(out, shownKey(at.below(key)))
			return err
		}
		return s.Delete(ctx, key, objstore.Cond{})
	}
	if !at.isDirectory() {
		_, err := s.Stat(ctx, at.key)
		switch {
		case err == nil:
			err = del(at.key)
		case errors.Is(err, objstore.ErrNotFound) && f.recursive:
			err = removeBelow(ctx, s, at.prefix(), f.dryRun, del)
		}
		if err != nil {
			return scrubbed(o, fmt.Errorf("%s: %w", at, err))
		}
		return nil
	}
	if !f.recursive {
		return usage(fmt.Errorf("%s is a directory: delete it with -r", at))
	}
	if err := removeBelow(ctx, s, at.prefix(), f.dryRun, del); err != nil {
		return scrubbed(o, fmt.Errorf("%s: %w", at, err))
	}
	return nil
}

// removeBelow deletes all that a prefix has, and tells of each failure. It looks
// again after: in a directory, where objects are files, an emptied directory may
// have become an object.
func removeBelow(ctx context.Context, s objstore.Store, prefix string, inOrder bool, del func(key string) error) error {
	var g errgroup.Group
	g.SetLimit(16)
	if inOrder {
		g.SetLimit(1)
	}
	var found, failed atomic.Int64
	for o, err := range objstore.ListAll(ctx, s, objstore.ListRequest{Prefix: prefix}) {
		if err != nil {
			return errors.Join(g.Wait(), err)
		}
		found.Add(1)
		g.Go(func() error {
			if err := del(o.Key); err != nil {
				failed.Add(1)
				fmt.Fprintln(os.Stderr, "pailfs:", oneLine(err.Error()))
			}
			return nil
		})
	}
	g.Wait()
	if !inOrder && failed.Load() == 0 {
		for o, err := range objstore.ListAll(ctx, s, objstore.ListRequest{Prefix: prefix}) {
			if err == nil {
				err = del(o.Key)
			}
			if err != nil {
				return err
			}
		}
	}
	switch {
	case failed.Load() > 0:
		return fmt.Errorf("%d objects could not be deleted", failed.Load())
	case found.Load() == 0 && prefix != "":
		return &objstore.Error{Op: "list", Key: prefix, Kind: objstore.ErrNotFound}
	}
	return nil
}
