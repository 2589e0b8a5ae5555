package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/pailfs/pailfs/objstore"
	"golang.org/x/sync/errgroup"
)

// PartSuffix is that of a file that is not whole yet, beside the one that it
// becomes.
const PartSuffix = ".pailfs-part"

// Local is a directory of plain files, into which large objects are fetched so
// that an interrupted copy goes on with the parts that it lacks.
type Local struct {
	Root   *os.Root
	Source string // where the objects are, without secrets: part files of another source are of no use

	// Check reads a file and returns what of the checksums it does not have.
	Check func(file io.Reader, want objstore.Checksums) error
}

// fetch makes the file name of an object. A file takes its name when it is whole
// and on the disk; until then it and its journal stay, also after an error.
func (c *Copier) fetch(ctx context.Context, src objstore.Object, name string) (objstore.Object, error) {
	l := c.Local
	if !fs.ValidPath(name) {
		return objstore.Object{}, fmt.Errorf("%q cannot be the path of a file", name)
	}
	if err := l.free(name, c.Absent); err != nil {
		return objstore.Object{}, err
	}
	if err := l.Root.MkdirAll(path.Dir(name), 0o777); err != nil {
		return objstore.Object{}, err
	}
	j, err := l.openJournal(name, journalHead{Source: l.Source, Key: src.Key, Version: string(src.Version), Size: src.Size, Part: c.part})
	if err != nil {
		return objstore.Object{}, err
	}
	defer j.close()
	err = c.fetchParts(ctx, src, j)
	if err == nil {
		err = j.check(l, src.Checksums)
	}
	if err == nil {
		err = l.publish(name, c.Absent)
	}
	if err != nil {
		return objstore.Object{}, err
	}
	return objstore.Object{Key: name, Size: src.Size}, nil
}

// free says why a name cannot be that of a new file.
func (l *Local) free(name string, absent bool) error {
	fi, err := l.Root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case absent:
		return &objstore.Error{Op: "copy", Key: name, Kind: objstore.ErrCond, Err: fs.ErrExist}
	case !fi.Mode().IsRegular():
		return fmt.Errorf("%q is there and is no plain file", name)
	}
	return nil
}

// fetchParts gets the parts that the journal lacks.
func (c *Copier) fetchParts(ctx context.Context, src objstore.Object, j *journal) error {
	g, gctx := errgroup.WithContext(ctx)
	for n := range j.parts() {
		release, err := c.slot(gctx)
		if err != nil {
			break // the group, or the caller, says why
		}
		g.Go(func() error {
			defer release()
			off, size := j.extent(n)
			if !j.has(n) {
				body, err := c.read(gctx, src, off, size)
				if err == nil {
					err = j.write(n, body)
				}
				if err != nil {
					return err
				}
			}
			c.arrived(size)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// publish gives a whole file its name.
func (l *Local) publish(name string, absent bool) error {
	part := name + PartSuffix
	if absent { // which rename(2) does not look at
		if err := l.Root.Link(part, name); err != nil {
			return err
		}
		if err := l.Root.Remove(part); err != nil {
			return err
		}
	} else if err := l.Root.Rename(part, name); err != nil {
		return err
	}
	if err := l.Root.Remove(name + journalSuffix); err != nil {
		return err
	}
	dir, err := l.Root.Open(path.Dir(name))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
