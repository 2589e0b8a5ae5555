package dirstore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/pailfs/pailfs/objstore"
)

// Get opens a range of the object at key.
func (s *Store) Get(ctx context.Context, key string, r objstore.Range, cond objstore.Cond) (io.ReadCloser, objstore.Object, error) {
	none := objstore.Object{}
	if err := s.enter(ctx, "get", key); err != nil {
		return nil, none, err
	}
	defer s.leave()
	p, err := at("get", key)
	if err != nil {
		return nil, none, err
	}
	if p.marker {
		o, _, err := s.lookup(p)
		if err == nil {
			_, err = cut("get", o, r)
		}
		if err == nil {
			err = holds("get", o, cond)
		}
		if err != nil {
			return nil, none, readError("get", key, err)
		}
		return io.NopCloser(bytes.NewReader(nil)), o, nil
	}
	src, err := s.openSource("get", p)
	if err != nil {
		return nil, none, err
	}
	size, err := cut("get", src.o, r)
	if err == nil {
		err = holds("get", src.o, cond)
	}
	if err != nil {
		src.file.Close()
		return nil, none, err
	}
	return &body{ctx: ctx, source: src, pos: r.Off, end: r.Off + size, sums: src.rec.sums}, src.o, nil
}

// cut gives the length of a range, cut at the end of the object.
func cut(op string, o objstore.Object, r objstore.Range) (int64, error) {
	if r.Off < 0 || r.Off > o.Size || r.Off == o.Size && o.Size > 0 {
		return 0, fail(op, o.Key, objstore.ErrRange, "offset %d of %d", r.Off, o.Size)
	}
	if r.Len < 0 || r.Len > o.Size-r.Off {
		return o.Size - r.Off, nil
	}
	return r.Len, nil
}

func holds(op string, o objstore.Object, cond objstore.Cond) error {
	if cond.Absent || cond.Version != "" && cond.Version != o.Version {
		return fail(op, o.Key, objstore.ErrCond, "version is %q, not %q", o.Version, cond.Version)
	}
	return nil
}

// source is an object that was opened to be read: one version to its end.
type source struct {
	file *os.File
	o    objstore.Object
	rec  record // with sums
}

// openSource opens the file of p and reads its record.
func (s *Store) openSource(op string, p place) (*source, error) {
	dir, err := s.parent(p)
	if err != nil {
		return nil, classify(op, p.key, err)
	}
	defer unix.Close(dir)
	for {
		f, n, err := openFile(dir, p.name())
		if err != nil {
			return nil, classify(op, p.key, err)
		}
		rec, found, err := s.readSidecar(n, n.version(), true)
		if err != nil {
			f.Close()
			return nil, readError(op, p.key, err)
		}
		if !found {
			// Replaced meanwhile: the sidecar went with the name.
			if again, err := statAt(dir, p.name()); err != nil || again.version() != n.version() {
				f.Close()
				if err != nil {
					return nil, classify(op, p.key, err)
				}
				continue
			}
		}
		return &source{f, rec.object(p.key, n, n.version()), rec}, nil
	}
}

// unchanged is an error if another program wrote into the file.
func (src *source) unchanged() error {
	n, err := statFile(src.file)
	if err == nil && n.version() != src.o.Version {
		return fail("get", src.o.Key, objstore.ErrTransient, "the file was changed while it was read")
	}
	return err
}

// body reads a range and checks each run of it that has a SHA-256.
type body struct {
	ctx context.Context
	*source
	pos, end int64
	err      error // what every further Read gives

	sums  []sum // those of the runs from start on
	start int64
	hash  hash.Hash // of the run at start up to pos, nil where it is not checked
}

func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.read(p)
	b.err = err
	return n, err
}

func (b *body) read(p []byte) (int, error) {
	key := b.o.Key
	if err := b.ctx.Err(); err != nil {
		return 0, classify("get", key, err)
	}
	if b.pos == b.end {
		if err := b.unchanged(); err != nil {
			return 0, classify("get", key, err)
		}
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	b.enterRun()
	most := b.end - b.pos
	if b.hash != nil {
		most = b.start + b.sums[0].size - b.pos
	}
	n, err := b.file.ReadAt(p[:min(int64(len(p)), most)], b.pos)
	if n == 0 {
		if errors.Is(err, io.EOF) {
			err = fail("get", key, objstore.ErrTransient, "the file ends %d bytes early: %w", b.end-b.pos, io.ErrUnexpectedEOF)
		}
		return 0, classify("get", key, err)
	}
	b.pos += int64(n)
	if b.hash == nil {
		return n, nil
	}
	b.hash.Write(p[:n])
	if b.pos == b.start+b.sums[0].size && !bytes.Equal(b.hash.Sum(nil), b.sums[0].sha) {
		if err := b.unchanged(); err != nil {
			return 0, classify("get", key, err)
		}
		return 0, badSum(key, b.start, b.sums[0].size)
	}
	return n, nil
}

// enterRun moves to the run of pos, and begins to hash it if all of it will be
// read.
func (b *body) enterRun() {
	for len(b.sums) > 0 && b.start+b.sums[0].size <= b.pos {
		b.start += b.sums[0].size
		b.sums, b.hash = b.sums[1:], nil
	}
	if len(b.sums) > 0 && b.pos == b.start && b.sums[0].sha != nil && b.start+b.sums[0].size <= b.end {
		b.hash = sha256.New()
	}
}

func (b *body) Close() error { return b.file.Close() }
