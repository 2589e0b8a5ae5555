package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pailfs/pailfs/cmd/pailfs/internal/transfer"
	"github.com/pailfs/pailfs/mountopts"
	"github.com/pailfs/pailfs/objstore"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

type cpFlags struct {
	recursive, update, noClobber, preserve, quiet bool
	parallel                                      int
}

func cpCommand() *cobra.Command {
	var f cpFlags
	cmd := &cobra.Command{
		Use:   "cp [-r] SOURCE... DESTINATION",
		Short: "Copy objects between any two stores without mounting",
		Long: "Copy objects between stores, or between a store and local files, in parallel, compared by checksum where both ends have\n" +
			"one. With -r a directory and all below it: its contents where SOURCE ends in a slash, else with its name. After an\n" +
			"interruption the same command with --update goes on with what is missing; so it does inside a large object that is fetched into\n" +
			"a local file, of which NAME.pailfs-part and NAME.pailfs-parts have what is there, if the object is still the same.\n" + locationHelp,
		Example: "  pailfs cp db.dump s3://backups/db/\n  pailfs cp -r --update s3://backups/db/ gs://copies/db/",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 2 {
				return usage(errors.New("cp needs a source and a destination: pailfs cp db.dump s3://bucket/"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), unix.SIGINT, unix.SIGTERM)
			defer stop()
			last := len(args) - 1
			return copyAll(ctx, cmd.OutOrStdout(), args[:last], args[last], f)
		},
	}
	flags := cmd.Flags()
	flags.BoolVarP(&f.recursive, "recursive", "r", false, "copy directories")
	flags.BoolVarP(&f.update, "update", "u", false, "leave out what is there: same size, and same checksum or not older")
	flags.BoolVarP(&f.noClobber, "no-clobber", "n", false, "replace nothing; an object that is there is an error")
	flags.BoolVarP(&f.preserve, "preserve", "p", false, "keep modes and mtime of local files, as mounts store them")
	flags.IntVar(&f.parallel, "parallel", 8, "parts in flight; each takes 16 MiB of memory or more")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "say nothing unless it fails")
	return cmd
}

// tally counts what cp does, and draws it on a terminal.
type tally struct {
	begun                   time.Time
	copied, skipped, failed atomic.Int64
	bytes                   atomic.Int64
}

func copyAll(ctx context.Context, out io.Writer, sources []string, destination string, f cpFlags) error {
	to, err := locate(destination)
	if err != nil {
		return usage(err)
	}
	if len(sources) > 1 && !to.isDirectory() {
		return usage(fmt.Errorf("%s must end in a slash: there are several sources", destination))
	}
	t := &tally{begun: time.Now()}
	for _, source := range sources {
		from, err := locate(source)
		if err == nil {
			err = copyOne(ctx, from, to, f, t)
		}
		if err != nil {
			return err
		}
	}
	if n := t.failed.Load(); n > 0 {
		return fmt.Errorf("%d objects could not be copied", n)
	}
	if f.quiet {
		return nil
	}
	_, err = fmt.Fprintf(out, "%d copied, %d there already, %s, %s/s\n", t.copied.Load(), t.skipped.Load(),
		readable(t.bytes.Load()), readable(int64(rate(t.bytes.Load(), time.Since(t.begun)))))
	return err
}

// job is one object and where it goes.
type job struct {
	src objstore.Object
	dst string
}

func copyOne(ctx context.Context, from, to location, f cpFlags, t *tally) error {
	pair, err := openPair(ctx, from, to)
	if err != nil {
		return err
	}
	defer pair.close()
	c := &transfer.Copier{Src: pair.src, Dst: pair.dst, Same: pair.same, Parallel: f.parallel, Update: f.update, Absent: f.noClobber, Preserve: f.preserve}
	if from.plain {
		if c.From, err = os.OpenRoot(from.path()); err != nil {
			return err
		}
		defer c.From.Close()
	}
	if to.plain {
		root, err := os.OpenRoot(to.path())
		if err != nil {
			return err
		}
		defer root.Close()
		c.Local = &transfer.Local{Root: root, Source: mountopts.Redact(from.dir), Check: func(file io.Reader, want objstore.Checksums) error {
			h := newHashes()
			if _, err := io.Copy(h, file); err != nil {
				return err
			}
			return h.compare(want)
		}}
	}
	var m meter
	if isTerminal(os.Stderr) && !f.quiet {
		m.bar = newBar(os.Stderr, 0, "copying")
	}
	c.Arrived = func(n int64) {
		t.bytes.Add(n)
		m.add(n)
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(4 * max(f.parallel, 1)) // objects, which wait for the slots of their parts
	for j, err := range jobs(ctx, pair, f.recursive) {
		if err != nil {
			return errors.Join(g.Wait(), pair.explain(err))
		}
		m.expect(j.src.Size)
		g.Go(func() error {
			copied, err := c.Copy(gctx, j.src, j.dst)
			switch {
			case gctx.Err() != nil:
				return errors.New("interrupted; with --update the same command goes on")
			case err != nil:
				t.failed.Add(1)
				fmt.Fprintln(os.Stderr, "pailfs:", oneLine(pair.explain(err).Error()))
			case copied:
				t.copied.Add(1)
			default:
				t.skipped.Add(1)
			}
			return nil
		})
	}
	err = g.Wait()
	m.finish()
	return err
}

// jobs are the objects that a source names.
func jobs(ctx context.Context, p *storePair, recursive bool) func(func(job, error) bool) {
	return func(yield func(job, error) bool) {
		target := func(name string) string {
			if p.to == "" || strings.HasSuffix(p.to, "/") {
				return p.to + name
			}
			return p.to
		}
		name := p.shown.name
		if p.from != "" && !strings.HasSuffix(p.from, "/") {
			o, err := p.src.Stat(ctx, p.from)
			if err == nil {
				yield(job{o, target(name)}, nil)
				return
			}
			if !errors.Is(err, objstore.ErrNotFound) || !recursive {
				yield(job{}, err)
				return
			}
		}
		if !recursive {
			yield(job{}, errors.New("is a directory: copy it with -r"))
			return
		}
		prefix, into := p.from, target("")
		if !p.shown.contents && name != "" {
			into = target(name)
		}
		if prefix != "" {
			prefix = strings.TrimSuffix(prefix, "/") + "/"
		}
		if into != "" {
			into = strings.TrimSuffix(into, "/") + "/"
		}
		found := false
		for o, err := range objstore.ListAll(ctx, p.src, objstore.ListRequest{Prefix: prefix}) {
			if err == nil && strings.HasPrefix(o.Key, ".pailfs/") {
				continue
			}
			found = true
			if !yield(job{o, into + strings.TrimPrefix(o.Key, prefix)}, err) || err != nil {
				return
			}
		}
		if !found && prefix != "" {
			yield(job{}, &objstore.Error{Op: "list", Key: prefix, Kind: objstore.ErrNotFound})
		}
	}
}
