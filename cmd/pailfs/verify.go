package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/pailfs/pailfs/objstore"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

type verifyFlags struct {
	deep bool
	list string
}

func verifyCommand() *cobra.Command {
	var f verifyFlags
	cmd := &cobra.Command{
		Use:   "verify [--deep] [--check LIST] URL|PATH",
		Short: "Check that objects are what they were when they were written",
		Long: "Print the SHA-256 of each object as `sha256sum` does, so that `sha256sum -c` reads it. Nothing is read: they are what " +
			"the provider computed, or what pailfs noted in the metadata when it wrote the object. With --deep each object is read, and " +
			"compared with all checksums that are known of it. Objects of other programs are checked too. " +
			"Of a PATH, such as one below a mount, every file is read.\n" +
			"The exit code is 1 when something is wrong, or could not be checked. " + locationHelp,
		Example: "  pailfs verify s3://backups/db/\n  pailfs verify --deep s3://backups/db/ >SHA256SUMS\n  pailfs verify --check SHA256SUMS s3://backups/db/",
		Args:    exactly(1, "verify needs a URL or a path: pailfs verify s3://bucket/prefix/"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), unix.SIGINT, unix.SIGTERM)
			defer stop()
			v := &verifier{out: cmd.OutOrStdout(), err: cmd.ErrOrStderr(), deep: f.deep}
			if isTerminal(os.Stderr) {
				v.bar.bar = newBar(os.Stderr, 0, "checking")
			}
			if err := v.readList(f.list); err != nil {
				return usage(err)
			}
			return v.all(ctx, args[0])
		},
	}
	cmd.Flags().BoolVar(&f.deep, "deep", false, "read every object, and compare with all that the provider knows of it")
	cmd.Flags().StringVar(&f.list, "check", "", "compare with the sums in `LIST`, as sha256sum and this command write them")
	return cmd
}

// verifier checks objects side by side and tells of them in order.
type verifier struct {
	out, err io.Writer
	deep     bool
	want     map[string]string // SHA-256 by name, in hexadecimal; nil without a list
	bar      meter

	right, wrong, unknown int
}

// verdict is what came of one object.
type verdict struct {
	name string
	sum  string // SHA-256 in hexadecimal; "" if it is not known
	err  error  // why it is wrong, or could not be read
}

const verifyWorkers = 8

// run checks what each names, and tells the verdicts in that order.
func (v *verifier) run(ctx context.Context, each func(check func(job func() verdict) error) error) error {
	g, ctx := errgroup.WithContext(ctx)
	queue := make(chan chan verdict, verifyWorkers)
	g.Go(func() error {
		defer close(queue)
		return each(func(job func() verdict) error {
			one := make(chan verdict, 1)
			select {
			case queue <- one:
			case <-ctx.Done():
				return ctx.Err()
			}
			go func() { one <- job() }()
			return nil
		})
	})
	g.Go(func() error {
		for one := range queue {
			if err := v.tell(<-one); err != nil {
				return err
			}
		}
		return nil
	})
	err := g.Wait()
	v.bar.finish()
	if err != nil {
		return err
	}
	return v.conclude()
}

func (v *verifier) tell(r verdict) error {
	want, listed := v.want[r.name]
	delete(v.want, r.name)
	switch {
	case r.err != nil:
	case listed && r.sum != "" && r.sum != want:
		r.err = fmt.Errorf("SHA-256 is %s, the list says %s", r.sum, want)
	case v.want != nil && !listed:
		r.err = errors.New("is not in the list")
	}
	switch {
	case r.err != nil:
		v.wrong++
		_, err := fmt.Fprintf(v.err, "pailfs: %s: %v\n", shownKey(r.name), r.err)
		return err
	case r.sum == "":
		v.unknown++
		return nil
	}
	v.right++
	_, err := fmt.Fprintln(v.out, sumLine(r.sum, r.name))
	return err
}

func (v *verifier) conclude() error {
	for name := range v.want {
		v.wrong++
		fmt.Fprintf(v.err, "pailfs: %s: is in the list, and not here\n", shownKey(name))
	}
	switch {
	case v.wrong > 0:
		return fmt.Errorf("%d of %d are wrong or could not be read", v.wrong, v.right+v.wrong+v.unknown)
	case v.unknown > 0:
		return fmt.Errorf("no SHA-256 is known of %d of %d: read them with --deep", v.unknown, v.right+v.unknown)
	}
	return nil
}

func (v *verifier) all(ctx context.Context, raw string) error {
	at, err := locate(raw)
	if err != nil {
		return usage(err)
	}
	if at.plain {
		return v.files(ctx, strings.TrimSuffix(raw, "/"))
	}
	s, o, err := openLocation(ctx, at, true, false)
	if err != nil {
		return err
	}
	defer s.Close()
	err = v.run(ctx, func(check func(func() verdict) error) error {
		object := func(obj objstore.Object, name string) error {
			v.bar.expect(obj.Size)
			return check(func() verdict { return v.object(ctx, s, obj, name) })
		}
		found := false
		if !at.isDirectory() {
			obj, err := s.Stat(ctx, at.key)
			if err == nil {
				found, err = true, object(obj, at.name)
			}
			if err != nil && !errors.Is(err, objstore.ErrNotFound) {
				return err
			}
		}
		for obj, err := range objstore.ListAll(ctx, s, objstore.ListRequest{Prefix: at.prefix()}) {
			if err != nil {
				return err
			}
			found = true
			if strings.HasSuffix(obj.Key, "/") || strings.HasPrefix(obj.Key, ".pailfs/") {
				continue
			}
			if err := object(obj, obj.Key[len(at.prefix()):]); err != nil {
				return err
			}
		}
		if !found {
			return fmt.Errorf("%s: there is no such object or prefix", at)
		}
		return nil
	})
	if err != nil {
		return scrubbed(o, err)
	}
	return nil
}

// object checks one object, by reading it if that is asked for.
func (v *verifier) object(ctx context.Context, s objstore.Store, listed objstore.Object, name string) verdict {
	obj, err := s.Stat(ctx, listed.Key)
	if err != nil {
		return verdict{name: name, err: err}
	}
	noted := obj.NotedSHA256()
	if !v.deep {
		v.bar.add(listed.Size)
		if known := obj.Checksums.SHA256; known != nil && noted != nil && !bytes.Equal(known, noted) {
			return verdict{name: name, err: fmt.Errorf("SHA-256 is %x by the provider, its metadata say %x", known, noted)}
		}
		return verdict{name: name, sum: hexOf(obj.SHA256())}
	}
	body, _, err := s.Get(ctx, obj.Key, objstore.All, objstore.Cond{Version: obj.Version})
	if err != nil {
		return verdict{name: name, err: err}
	}
	defer body.Close()
	h := newHashes()
	n, err := io.Copy(h, io.TeeReader(body, countTo(v.bar.add)))
	if err == nil && n != obj.Size {
		err = fmt.Errorf("%d bytes could be read, the provider says %d", n, obj.Size)
	}
	if err == nil {
		err = h.compare(obj.Checksums)
	}
	if err == nil && noted != nil && hexOf(noted) != h.sha256() {
		err = fmt.Errorf("SHA-256 of what was read is %s, its metadata say %x", h.sha256(), noted)
	}
	return verdict{name, h.sha256(), err}
}

// files reads all files at a local path. Those of a mount must have the SHA-256
// that the mount knows of their object.
func (v *verifier) files(ctx context.Context, root string) error {
	return v.run(ctx, func(check func(func() verdict) error) error {
		return filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return err
			}
			name, err := filepath.Rel(root, path)
			if err != nil || name == "." {
				name = filepath.Base(path)
			}
			return check(func() verdict { return v.file(path, name) })
		})
	})
}

func (v *verifier) file(path, name string) verdict {
	f, err := os.Open(path)
	if err != nil {
		return verdict{name: name, err: errors.Unwrap(err)}
	}
	defer f.Close()
	if fi, err := f.Stat(); err == nil {
		v.bar.expect(fi.Size())
	}
	h := newHashes()
	if _, err := io.Copy(h, io.TeeReader(f, countTo(v.bar.add))); err != nil {
		return verdict{name: name, err: err}
	}
	known := make([]byte, 64)
	if n, err := unix.Fgetxattr(int(f.Fd()), "user.pailfs.sha256", known); err == nil && string(known[:n]) != h.sha256() {
		return verdict{name: name, err: fmt.Errorf("SHA-256 is %s, the object's is %s", h.sha256(), known[:n])}
	}
	return verdict{name: name, sum: h.sha256()}
}
