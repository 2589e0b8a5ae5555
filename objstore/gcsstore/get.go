package gcsstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"cloud.google.com/go/storage"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/internal/wire"
)

func (s *Store) Stat(ctx context.Context, key string) (objstore.Object, error) {
	if err := checkKey("stat", key); err != nil {
		return objstore.Object{}, err
	}
	a, err := s.attrs(ctx, key)
	if err != nil {
		return objstore.Object{}, s.classify("stat", key, err)
	}
	return object(a), nil
}

// attrs describes the object at key. Its error is the SDK's.
func (s *Store) attrs(ctx context.Context, key string) (*storage.ObjectAttrs, error) {
	return s.object(key, new(tries)).Attrs(ctx)
}

// object describes what the service describes. ModTime is when the bytes came,
// which a change of metadata does not move.
func object(a *storage.ObjectAttrs) objstore.Object {
	o := objstore.Object{
		Key:           a.Name,
		Size:          a.Size,
		ModTime:       a.Created,
		Version:       version(a.Generation),
		ContentType:   a.ContentType,
		StorageClass:  a.StorageClass,
		Metadata:      decodeMetadata(a.Metadata),
		MetadataKnown: true,
	}
	o.Checksums.CRC32C = bigEndian(a.CRC32C)
	if len(a.MD5) > 0 { // a composite object has none
		o.Checksums.MD5 = a.MD5
	}
	return o
}

func version(generation int64) objstore.Version {
	return objstore.Version(strconv.FormatInt(generation, 10))
}

// generation is the generation that a version names. No object has one that is
// not a number, or 0: -1 is the condition that does not hold.
func generation(v objstore.Version) int64 {
	g, err := strconv.ParseInt(string(v), 10, 64)
	if err != nil || g <= 0 {
		return -1
	}
	return g
}

func (s *Store) Get(ctx context.Context, key string, r objstore.Range, cond objstore.Cond) (io.ReadCloser, objstore.Object, error) {
	var none objstore.Object
	if err := checkKey("get", key); err != nil {
		return nil, none, err
	}
	if r.Off < 0 {
		return nil, none, &objstore.Error{Op: "get", Key: key, Kind: objstore.ErrRange}
	}
	if r.Len == 0 || cond.Absent { // HTTP has no empty range
		return s.getNothing(ctx, key, r, cond)
	}
	for {
		b, o, err := s.open(ctx, key, r, cond)
		if errors.Is(err, errReplaced) && cond.Version == "" && ctx.Err() == nil {
			continue
		}
		if err != nil {
			err = s.classify("get", key, err)
			if errors.Is(err, objstore.ErrRange) && r.Off == 0 { // every range is outside an empty object
				return s.getNothing(ctx, key, r, cond)
			}
			return nil, none, err
		}
		return b, o, nil
	}
}

// errReplaced is an object that was replaced between two requests on it.
var errReplaced = errors.New("the object was replaced just now")

// open is one download. Its error is the SDK's.
func (s *Store) open(ctx context.Context, key string, r objstore.Range, cond objstore.Cond) (*body, objstore.Object, error) {
	h := s.read(key)
	if cond.Version != "" {
		h = h.If(storage.Conditions{GenerationMatch: generation(cond.Version)})
	}
	rd, err := h.NewRangeReader(ctx, r.Off, max(r.Len, -1))
	if err != nil {
		return nil, objstore.Object{}, err
	}
	o := objstore.Object{
		Key:           key,
		Size:          rd.Attrs.Size,
		ModTime:       rd.Attrs.LastModified,
		Version:       version(rd.Attrs.Generation),
		ContentType:   rd.Attrs.ContentType,
		Metadata:      decodeMetadata(rd.Metadata()),
		MetadataKnown: true,
	}
	if cond.Version != "" && o.Version != cond.Version { // an emulator that takes no notice
		rd.Close()
		return nil, o, objstore.NewError("get", key, objstore.ErrCond, fmt.Errorf("version %q is there", o.Version))
	}
	// Headers carry metadata, but not every server's, and not for certain what
	// is more than ASCII.
	if !ascii(rd.Metadata()) || len(o.Metadata) == 0 && !s.facts.Load().headers {
		a, err := s.object(key, new(tries)).Generation(rd.Attrs.Generation).Attrs(ctx)
		if err != nil {
			rd.Close()
			if gone(err) {
				err = objstore.NewError("get", key, objstore.ErrCond, fmt.Errorf("%w: %w", errReplaced, err))
			}
			return nil, o, err
		}
		o = object(a)
	}
	want := o.Size - r.Off
	if r.Len > 0 {
		want = min(want, r.Len)
	}
	return &body{s: s, key: key, body: rd, left: want}, o, nil
}

// getNothing is a Get of no bytes: an empty range, or one of an empty object.
func (s *Store) getNothing(ctx context.Context, key string, r objstore.Range, cond objstore.Cond) (io.ReadCloser, objstore.Object, error) {
	a, err := s.attrs(ctx, key)
	if err != nil {
		return nil, objstore.Object{}, s.classify("get", key, err)
	}
	return wire.Nothing(object(a), r, cond)
}

// A body reads the bytes of one download. The SDK opens it again where it
// breaks off, at the next byte of the same generation, and compares the CRC32C
// of a whole object.
type body struct {
	s    *Store
	key  string
	body io.ReadCloser
	left int64 // bytes to come
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	b.left -= int64(n)
	switch {
	case err == nil, err == io.EOF && b.left == 0:
		return n, err
	case err == io.EOF && b.left < 0:
		err = fmt.Errorf("%w: %d bytes too many", errChecksum, -b.left)
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
	case gone(err): // opened again, and the generation is no more
		err = objstore.NewError("get", b.key, objstore.ErrCond, err)
	}
	return n, b.s.classify("get", b.key, err)
}

func (b *body) Close() error { return b.body.Close() }
