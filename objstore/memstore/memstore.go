// Package memstore keeps a bucket in memory. It is the reference of the store
// contract: it enforces its Caps, so that code which passes on it with small
// limits keeps within the limits of a provider too.
package memstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/pailfs/pailfs/objstore"
)

// maxKey is the longest key, in bytes, as with S3 and GCS.
const maxKey = 1024

// Options say what kind of provider the store resembles. The zero value has
// every ability and no limit that a test would meet.
type Options struct {
	// Caps changes the limits, which start at DefaultCaps. Conditions that the
	// Caps exclude are refused with ErrUnsupported, never ignored.
	Caps func(*objstore.Caps)

	NoCopyPart     bool             // uploads are no PartCopier
	NoLateMetadata bool             // uploads are LateSHA256 and no LateMetadata, as with S3
	Now            func() time.Time // clock; nil is time.Now
}

// DefaultCaps are the limits of a store whose Options do not change them.
func DefaultCaps() objstore.Caps {
	return objstore.Caps{
		MaxPut: 5 << 30, MinPart: 1, MaxPart: 5 << 30, MaxObject: 5 << 40,
		MaxParts: 10_000, MaxCopy: 5 << 30,
		SortedList: true, ListMetadata: true,
		CondPut: true, CondCopy: true, CondDelete: true,
	}
}

// Store is a bucket in memory. It is a Cleaner.
type Store struct {
	caps objstore.Caps
	opt  Options

	mu      sync.Mutex
	objects map[string]*object
	keys    []string // of objects, sorted
	uploads map[*upload]struct{}
	serial  int64
}

// object is immutable once it is in the map.
type object struct {
	objstore.Object
	body []byte
}

// New returns an empty store.
func New(opt Options) *Store {
	caps := DefaultCaps()
	if opt.Caps != nil {
		opt.Caps(&caps)
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	return &Store{caps: caps, opt: opt, objects: map[string]*object{}, uploads: map[*upload]struct{}{}}
}

func (s *Store) Caps() objstore.Caps { return s.caps }
func (s *Store) Close() error        { return nil }

// Uploads says how many uploads are neither committed nor aborted.
func (s *Store) Uploads() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.uploads)
}

// enter refuses a call whose context is over or whose key the store cannot hold.
func (s *Store) enter(ctx context.Context, op, key string) error {
	if err := ctx.Err(); err != nil {
		return objstore.NewError(op, key, objstore.ErrTransient, err)
	}
	if key == "" {
		return fail(op, key, objstore.ErrUnsupported, "empty key")
	}
	if len(key) > maxKey {
		return fail(op, key, objstore.ErrUnsupported, "key longer than %d bytes", maxKey)
	}
	return nil
}

func fail(op, key string, kind error, format string, args ...any) error {
	return &objstore.Error{Op: op, Key: key, Kind: kind, Err: fmt.Errorf(format, args...)}
}

// check tells whether cond holds at key, for a store that does (or does not)
// honour it. The caller holds mu.
func (s *Store) check(op, key string, cond objstore.Cond, honoured bool) error {
	if cond.IsZero() {
		return nil
	}
	if !honoured {
		return fail(op, key, objstore.ErrUnsupported, "conditions are off")
	}
	o, found := s.objects[key]
	switch {
	case cond.Absent && found:
		return fail(op, key, objstore.ErrCond, "an object is there")
	case cond.Version != "" && !found:
		return fail(op, key, objstore.ErrCond, "no object is there")
	case cond.Version != "" && cond.Version != o.Version:
		return fail(op, key, objstore.ErrCond, "version is %q, not %q", o.Version, cond.Version)
	}
	return nil
}

// publish puts o at its key. The caller holds mu.
func (s *Store) publish(o *object) objstore.Object {
	s.serial++
	o.Version = objstore.Version("v" + strconv.FormatInt(s.serial, 10))
	o.ModTime = s.opt.Now()
	o.Size = int64(len(o.body))
	o.MetadataKnown = true
	if _, found := s.objects[o.Key]; !found {
		i, _ := slices.BinarySearch(s.keys, o.Key)
		s.keys = slices.Insert(s.keys, i, o.Key)
	}
	s.objects[o.Key] = o
	return o.public()
}

// remove takes key out. The caller holds mu.
func (s *Store) remove(key string) {
	if i, found := slices.BinarySearch(s.keys, key); found {
		s.keys = slices.Delete(s.keys, i, i+1)
		delete(s.objects, key)
	}
}

// public is a copy that the caller may change.
func (o *object) public() objstore.Object {
	c := o.Object
	c.Metadata = maps.Clone(o.Metadata)
	return c
}

func (s *Store) find(op, key string) (*object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, found := s.objects[key]
	if !found {
		return nil, fail(op, key, objstore.ErrNotFound, "no such key")
	}
	return o, nil
}

func (s *Store) Stat(ctx context.Context, key string) (objstore.Object, error) {
	if err := s.enter(ctx, "stat", key); err != nil {
		return objstore.Object{}, err
	}
	o, err := s.find("stat", key)
	if err != nil {
		return objstore.Object{}, err
	}
	return o.public(), nil
}

func (s *Store) Get(ctx context.Context, key string, r objstore.Range, cond objstore.Cond) (io.ReadCloser, objstore.Object, error) {
	none := objstore.Object{}
	if err := s.enter(ctx, "get", key); err != nil {
		return nil, none, err
	}
	o, err := s.find("get", key)
	if err != nil {
		return nil, none, err
	}
	if cond.Absent || cond.Version != "" && cond.Version != o.Version {
		return nil, none, fail("get", key, objstore.ErrCond, "version is %q, not %q", o.Version, cond.Version)
	}
	part, err := o.slice("get", r)
	if err != nil {
		return nil, none, err
	}
	return &body{ctx: ctx, key: key, rest: bytes.NewReader(part)}, o.public(), nil
}

// slice is range r of the bytes, cut at the end.
func (o *object) slice(op string, r objstore.Range) ([]byte, error) {
	size := int64(len(o.body))
	if r.Off < 0 || r.Off > size || r.Off == size && size > 0 {
		return nil, fail(op, o.Key, objstore.ErrRange, "offset %d of %d", r.Off, size)
	}
	end := size
	if r.Len >= 0 && r.Len < size-r.Off {
		end = r.Off + r.Len
	}
	return o.body[r.Off:end], nil
}

// body reads the bytes of one version; like a connection it breaks when its
// context ends.
type body struct {
	ctx    context.Context
	key    string
	rest   *bytes.Reader
	closed bool
}

func (b *body) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, objstore.NewError("get", b.key, objstore.ErrTransient, err)
	}
	if b.closed {
		return 0, fail("get", b.key, objstore.ErrOther, "read after close")
	}
	return b.rest.Read(p)
}

func (b *body) Close() error { b.closed = true; return nil }

// readBody reads all of body; one that is shorter than it says is an error.
func readBody(ctx context.Context, op, key string, body *io.SectionReader, most int64) ([]byte, error) {
	if body.Size() > most {
		return nil, fail(op, key, objstore.ErrUnsupported, "%d bytes, at most %d", body.Size(), most)
	}
	buf := make([]byte, body.Size())
	if n, err := body.ReadAt(buf, 0); n < len(buf) {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, objstore.NewError(op, key, objstore.ErrOther, fmt.Errorf("read body: %w", err))
	}
	if err := ctx.Err(); err != nil {
		return nil, objstore.NewError(op, key, objstore.ErrTransient, err)
	}
	return buf, nil
}

func (s *Store) Put(ctx context.Context, key string, body *io.SectionReader, opt objstore.PutOptions) (objstore.Object, error) {
	if err := s.enter(ctx, "put", key); err != nil {
		return objstore.Object{}, err
	}
	buf, err := readBody(ctx, "put", key, body, s.caps.MaxPut)
	if err != nil {
		return objstore.Object{}, err
	}
	return s.store("put", key, buf, opt)
}

// store publishes buf at key under the terms of opt.
func (s *Store) store(op, key string, buf []byte, opt objstore.PutOptions) (objstore.Object, error) {
	sums, err := checksums(op, key, buf, opt.Checksums)
	if err != nil {
		return objstore.Object{}, err
	}
	o := &object{body: buf, Object: objstore.Object{
		Key: key, ContentType: opt.ContentType, StorageClass: opt.StorageClass,
		Metadata: maps.Clone(opt.Metadata), Checksums: sums,
	}}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.check(op, key, opt.Cond, s.caps.CondPut); err != nil {
		return objstore.Object{}, err
	}
	return s.publish(o), nil
}

func (s *Store) Copy(ctx context.Context, dst, src string, opt objstore.CopyOptions) (objstore.Object, error) {
	return s.copy(ctx, "copy", dst, src, opt, false)
}

// copy copies src to dst; with move it also removes src, in the same step.
func (s *Store) copy(ctx context.Context, op, dst, src string, opt objstore.CopyOptions, move bool) (objstore.Object, error) {
	if err := errors.Join(s.enter(ctx, op, dst), s.enter(ctx, op, src)); err != nil {
		return objstore.Object{}, objstore.NewError(op, dst, objstore.ErrUnsupported, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	from, found := s.objects[src]
	switch {
	case !found:
		return objstore.Object{}, fail(op, src, objstore.ErrNotFound, "no such key")
	case opt.Src != "" && opt.Src != from.Version:
		return objstore.Object{}, fail(op, src, objstore.ErrCond, "version is %q, not %q", from.Version, opt.Src)
	case from.Size > s.caps.MaxCopy && !move:
		return objstore.Object{}, fail(op, src, objstore.ErrUnsupported, "%d bytes, at most %d", from.Size, s.caps.MaxCopy)
	}
	if err := s.check(op, dst, opt.Dst, s.caps.CondCopy); err != nil {
		return objstore.Object{}, err
	}
	to := &object{Object: from.Object, body: from.body}
	to.Key = dst
	if opt.Metadata != nil {
		to.Metadata = maps.Clone(opt.Metadata)
	}
	if move && dst != src {
		s.remove(src)
	}
	return s.publish(to), nil
}

func (s *Store) Delete(ctx context.Context, key string, cond objstore.Cond) error {
	if err := s.enter(ctx, "delete", key); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.check("delete", key, cond, s.caps.CondDelete); err != nil {
		return err
	}
	s.remove(key)
	return nil
}

// Renaming is a Store that is a Renamer too.
type Renaming struct{ *Store }

// NewRenaming returns an empty store with an atomic Rename.
func NewRenaming(opt Options) *Renaming {
	s := New(opt)
	s.caps.AtomicRename = true
	return &Renaming{s}
}

// Rename moves src to dst in one step.
func (s *Renaming) Rename(ctx context.Context, dst, src string, opt objstore.CopyOptions) (objstore.Object, error) {
	return s.copy(ctx, "rename", dst, src, opt, true)
}
