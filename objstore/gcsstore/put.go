package gcsstore

import (
	"context"
	"fmt"
	"io"
	"maps"
	"sync"

	"cloud.google.com/go/storage"

	"github.com/pailfs/pailfs/objstore"
)

// defaultType is the content type of what nobody named a type for.
const defaultType = "application/octet-stream"

var buffers = sync.Pool{New: func() any { b := make([]byte, 256<<10); return &b }}

func (s *Store) Put(ctx context.Context, key string, body *io.SectionReader, opt objstore.PutOptions) (objstore.Object, error) {
	var none objstore.Object
	if err := checkKey("put", key); err != nil {
		return none, err
	}
	crc, err := sum(body, opt.Checksums)
	if err != nil {
		return none, s.classify("put", key, err)
	}
	a, err := s.insert(ctx, insert{
		key: key, cond: opt.Cond, crc: &crc, size: body.Size(),
		attrs: attributes(opt),
		open:  func(context.Context) (io.Reader, error) { return io.NewSectionReader(body, 0, body.Size()), nil },
	})
	if err != nil {
		return none, s.classify("put", key, err)
	}
	if opt.StorageClass == "" {
		s.learnClass(a.StorageClass)
	}
	return object(a), nil
}

// attributes are what a new object is given besides its bytes.
func attributes(opt objstore.PutOptions) storage.ObjectAttrs {
	a := storage.ObjectAttrs{ContentType: opt.ContentType, StorageClass: opt.StorageClass, Metadata: encodeMetadata(opt.Metadata)}
	if a.ContentType == "" {
		a.ContentType = defaultType
	}
	return a
}

// conditions of the SDK for one of ours; nil for none.
func conditions(c objstore.Cond) *storage.Conditions {
	switch {
	case c.Absent:
		return &storage.Conditions{DoesNotExist: true}
	case c.Version != "":
		return &storage.Conditions{GenerationMatch: generation(c.Version)}
	}
	return nil
}

func conditional(h *storage.ObjectHandle, c objstore.Cond) *storage.ObjectHandle {
	if c := conditions(c); c != nil {
		return h.If(*c)
	}
	return h
}

// insert is one object to be written in one request.
type insert struct {
	key   string
	cond  objstore.Cond
	attrs storage.ObjectAttrs
	size  int64
	crc   *uint32                                  // sent before the bytes; nil is computed on the way
	open  func(context.Context) (io.Reader, error) // for each try
}

// insert writes an object. Its error is the SDK's.
func (s *Store) insert(ctx context.Context, in insert) (*storage.ObjectAttrs, error) {
	var a *storage.ObjectAttrs
	t := new(tries)
	err := s.retry(ctx, t, func() (err error) {
		a, err = s.insertOnce(ctx, in)
		return err
	})
	if err != nil && in.crc != nil {
		in.attrs.Name, in.attrs.Size, in.attrs.CRC32C = in.key, in.size, *in.crc
		return s.settle(ctx, t, &in.attrs, err)
	}
	if err == nil && in.crc != nil && a.CRC32C != *in.crc {
		return nil, errChecksum
	}
	return a, err
}

// settle finds out whether a request failed because an earlier try of it, which
// got no answer, was carried out: then what is there is what was to be there.
func (s *Store) settle(ctx context.Context, t *tries, want *storage.ObjectAttrs, err error) (*storage.ObjectAttrs, error) {
	if !t.lost.Load() || !unmet(err) && !gone(err) {
		return nil, err
	}
	a, statErr := s.attrs(ctx, want.Name)
	if statErr != nil || a.Size != want.Size || a.CRC32C != want.CRC32C || a.ContentType != want.ContentType ||
		!maps.Equal(a.Metadata, want.Metadata) {
		return nil, err
	}
	return a, nil
}

// insertOnce streams the body: nothing of it is kept in memory. When the body
// breaks off, so does the request, and the service drops what came.
func (s *Store) insertOnce(ctx context.Context, in insert) (*storage.ObjectAttrs, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	src, err := in.open(ctx)
	if err != nil {
		return nil, err
	}
	w := s.writer(ctx, in)
	w.ChunkSize = 0
	if in.crc != nil {
		w.CRC32C, w.SendCRC32C = *in.crc, true
	}
	if err := copyBody(w, src, in.size); err != nil {
		cancel()
		w.Close()
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return w.Attrs(), nil
}

func (s *Store) writer(ctx context.Context, in insert) *storage.Writer {
	h := conditional(s.bucket().Object(in.key), in.cond).Retryer(storage.WithPolicy(storage.RetryNever))
	w := h.NewWriter(ctx)
	w.ContentType, w.StorageClass, w.Metadata = in.attrs.ContentType, in.attrs.StorageClass, in.attrs.Metadata
	return w
}

// copyBody copies a body whole. An error of the writer is left to its Close,
// which knows it better.
func copyBody(w io.Writer, src io.Reader, size int64) error {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	for left := size; left > 0; {
		n, err := src.Read((*buf)[:min(int64(len(*buf)), left)])
		left -= int64(n)
		if n > 0 {
			if _, err := w.Write((*buf)[:n]); err != nil {
				return nil
			}
		}
		if err == io.EOF && left > 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil && left > 0 {
			return fmt.Errorf("%w: %w", errBody, err)
		}
	}
	return nil
}

func (s *Store) Delete(ctx context.Context, key string, cond objstore.Cond) error {
	if err := checkKey("delete", key); err != nil {
		return err
	}
	if cond.Absent { // nothing to delete, or not to be deleted
		return s.look(ctx, "delete", key, cond)
	}
	if err := s.lookFirst(ctx, "delete", key, cond); err != nil {
		return err
	}
	t := new(tries)
	err := conditional(s.object(key, t), cond).Delete(ctx)
	if err != nil && gone(err) {
		if cond.Version == "" || t.lost.Load() {
			return nil
		}
		err = objstore.NewError("delete", key, objstore.ErrCond, err)
	}
	return s.classify("delete", key, err)
}

// lookFirst checks a condition before a request that carries it, at an endpoint
// that may take no notice of it.
func (s *Store) lookFirst(ctx context.Context, op, key string, cond objstore.Cond) error {
	if cond.IsZero() || s.facts.Load().honoured {
		return nil
	}
	return s.look(ctx, op, key, cond)
}

// look checks a condition now.
func (s *Store) look(ctx context.Context, op, key string, cond objstore.Cond) error {
	a, err := s.attrs(ctx, key)
	switch {
	case err != nil && gone(err):
		if cond.Version == "" {
			return nil
		}
		return objstore.NewError(op, key, objstore.ErrCond, err)
	case err != nil:
		return s.classify(op, key, err)
	case cond.Absent, version(a.Generation) != cond.Version:
		return objstore.NewError(op, key, objstore.ErrCond, fmt.Errorf("version %d is there", a.Generation))
	}
	return nil
}
