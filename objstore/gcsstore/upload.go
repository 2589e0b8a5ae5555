package gcsstore

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"cloud.google.com/go/storage"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/internal/wire"
)

// standard is the storage class of temporary objects: the others are billed for
// a month and more, and a compose wants all its sources in one.
const standard = "STANDARD"

// keyName is the metadata that tells a temporary object's upload.
const keyName = "pailfs-key"

// upload is an object that is put together from others: each part is a temporary
// object until then, or a range of an object that is there already.
type upload struct {
	s       *Store
	key, id string // the names of temporary objects begin with id and "."

	mu      sync.Mutex
	opt     objstore.PutOptions
	parts   map[int]part
	sources map[sourceID]*storage.ObjectAttrs // of copied parts
	temps   map[string]struct{}               // temporary objects that may be there
	over    bool                              // committed or aborted
}

// part is a temporary object, or a range of another.
type part struct {
	object *storage.ObjectAttrs
	r      objstore.Range
}

func (p part) whole() bool { return p.r.Off == 0 && p.r.Len == p.object.Size }

type sourceID struct {
	key        string
	generation int64
}

func (s *Store) NewUpload(ctx context.Context, key string, opt objstore.PutOptions) (objstore.Upload, error) {
	if err := checkKey("upload", key); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, s.classify("upload", key, err)
	}
	opt.Metadata = maps.Clone(opt.Metadata)
	if s.cfg.OneStream {
		return newStream(s, key, opt), nil
	}
	return &upload{
		s: s, key: key, opt: opt,
		id:      s.own + "-" + rand.Text(),
		parts:   map[int]part{},
		sources: map[sourceID]*storage.ObjectAttrs{},
		temps:   map[string]struct{}{},
	}, nil
}

func (u *upload) SetMetadata(m map[string]string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.opt.Metadata = maps.Clone(m)
}

func (u *upload) PutPart(ctx context.Context, n int, body *io.SectionReader) error {
	if err := u.checkPart(n); err != nil {
		return err
	}
	crc, err := sum(body, objstore.Checksums{})
	if err != nil {
		return u.s.classify("part", u.key, err)
	}
	in := u.temporary(fmt.Sprintf("%05d", n))
	in.crc, in.size = &crc, body.Size()
	in.open = func(context.Context) (io.Reader, error) { return io.NewSectionReader(body, 0, body.Size()), nil }
	a, err := u.s.insert(ctx, in)
	if err != nil {
		return u.s.classify("part", u.key, err)
	}
	return u.add(n, part{a, objstore.Range{Len: a.Size}})
}

// temporary begins an object of the upload. It is known from now on, so that it
// is removed whatever becomes of the request.
func (u *upload) temporary(name string) insert {
	name = u.id + "." + name + "-" + rand.Text()[:8]
	u.mu.Lock()
	defer u.mu.Unlock()
	u.temps[name] = struct{}{}
	return insert{
		key: name, cond: objstore.Cond{Absent: true},
		attrs: storage.ObjectAttrs{
			ContentType: defaultType, StorageClass: standard,
			Metadata: encodeMetadata(map[string]string{keyName: u.key}),
		},
	}
}

// CopyPart notes the range. Commit composes ranges that follow each other and
// make up a whole object, without moving a byte, also when the part behind them
// begins with the last bytes of that object; of any other range the service has
// no copy, so that Commit reads it and sends it again. The source must stay until
// then.
func (u *upload) CopyPart(ctx context.Context, n int, src string, v objstore.Version, r objstore.Range) error {
	if err := u.checkPart(n); err != nil {
		return err
	}
	if err := checkKey("part", src); err != nil {
		return err
	}
	a, err := u.source(ctx, src, v)
	if err != nil {
		return u.s.classify("part", src, err)
	}
	if r.Len < 0 {
		r.Len = a.Size - r.Off
	}
	if r.Off < 0 || r.Len <= 0 || r.Len > a.Size-r.Off {
		return &objstore.Error{Op: "part", Key: src, Kind: objstore.ErrRange}
	}
	return u.add(n, part{a, r})
}

// source describes an object that parts are copied from.
func (u *upload) source(ctx context.Context, key string, v objstore.Version) (*storage.ObjectAttrs, error) {
	u.mu.Lock()
	a := u.sources[sourceID{key, generation(v)}]
	u.mu.Unlock()
	if a != nil {
		return a, nil
	}
	a, err := u.s.attrs(ctx, key)
	if err != nil {
		return nil, err
	}
	if v != "" && version(a.Generation) != v {
		return nil, objstore.NewError("part", key, objstore.ErrCond, fmt.Errorf("version %d is there", a.Generation))
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.sources[sourceID{key, a.Generation}] = a
	return a, nil
}

func (u *upload) checkPart(n int) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return wire.CheckPart(u.key, n, maxParts, u.over)
}

// add takes a part. What it replaces, or an upload that is over, leaves a
// temporary object to be removed.
func (u *upload) add(n int, p part) error {
	u.mu.Lock()
	over, old := u.over, u.parts[n]
	if !over {
		u.parts[n] = p
	} else {
		old = p
	}
	unused := ""
	if old.object != nil {
		if _, ours := u.temps[old.object.Name]; ours {
			unused = old.object.Name
			delete(u.temps, unused)
		}
	}
	u.mu.Unlock()
	if unused != "" {
		u.s.removeLater([]string{unused})
	}
	if over {
		return &objstore.Error{Op: "part", Key: u.key, Kind: objstore.ErrOther, Err: wire.ErrOver}
	}
	return nil
}

// Commit leaves the upload open when it fails.
func (u *upload) Commit(ctx context.Context, last int) (objstore.Object, error) {
	parts, err := u.list(last)
	if err != nil {
		return objstore.Object{}, &objstore.Error{Op: "commit", Key: u.key, Kind: objstore.ErrOther, Err: err}
	}
	u.mu.Lock()
	opt := u.opt
	u.mu.Unlock()
	if err := u.s.lookFirst(ctx, "commit", u.key, opt.Cond); err != nil {
		return objstore.Object{}, err
	}
	a, err := u.assemble(ctx, parts, opt)
	if err != nil {
		if gone(err) { // a part: the key itself would be an unmet condition
			err = objstore.NewError("commit", u.key, lost(parts), err)
		}
		return objstore.Object{}, u.s.classify("commit", u.key, err)
	}
	u.mu.Lock()
	u.over = true
	u.mu.Unlock()
	u.s.removeLater(u.takeTemps())
	return object(a), nil
}

// lost is the kind of a commit that misses one of its sources: somebody took a
// temporary object away, or another object was changed that parts are copied from.
func lost(parts []part) error {
	for _, p := range parts {
		if p.object.Metadata[keyName] == "" {
			return objstore.ErrCond
		}
	}
	return objstore.ErrOther
}

// list returns parts 1 to last.
func (u *upload) list(last int) ([]part, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return wire.Run(u.parts, last, u.over)
}

// takeTemps returns the temporary objects; they are no longer the upload's.
func (u *upload) takeTemps() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	names := slices.Collect(maps.Keys(u.temps))
	clear(u.temps)
	return names
}

// Abort removes the temporary objects before it returns.
func (u *upload) Abort(ctx context.Context) error {
	u.mu.Lock()
	u.over, u.parts = true, nil
	u.mu.Unlock()
	names := u.takeTemps()
	left, err := u.s.remove(ctx, names)
	if err != nil {
		u.s.leaves.Store(true)
		u.mu.Lock()
		defer u.mu.Unlock()
		for _, name := range left { // for another Abort
			u.temps[name] = struct{}{}
		}
	}
	return u.s.classify("abort", u.key, err)
}
