package memstore

import (
	"bytes"
	"context"
	"encoding/hex"
	"io"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/pailfs/pailfs/objstore"
)

// upload has every optional interface; NewUpload hides those that are off.
type upload struct {
	s     *Store
	key   string
	begun time.Time

	mu      sync.Mutex
	opt     objstore.PutOptions
	parts   map[int][]byte
	sending bool // OrderedParts: one at a time
	over    bool // committed or aborted
}

func (s *Store) NewUpload(ctx context.Context, key string, opt objstore.PutOptions) (objstore.Upload, error) {
	if err := s.enter(ctx, "upload", key); err != nil {
		return nil, err
	}
	if !opt.Cond.IsZero() && !s.caps.CondPut {
		return nil, fail("upload", key, objstore.ErrUnsupported, "conditions are off")
	}
	opt.Metadata = maps.Clone(opt.Metadata)
	u := &upload{s: s, key: key, begun: s.opt.Now(), opt: opt, parts: map[int][]byte{}}
	s.mu.Lock()
	s.uploads[u] = struct{}{}
	s.mu.Unlock()

	like := objstore.Upload(u)
	switch {
	case s.opt.NoCopyPart && s.opt.NoLateMetadata:
		like = struct {
			objstore.Upload
			objstore.LateSHA256
		}{u, u}
	case s.opt.NoCopyPart:
		like = struct {
			objstore.Upload
			objstore.LateMetadata
		}{u, u}
	case s.opt.NoLateMetadata:
		like = struct {
			objstore.Upload
			objstore.PartCopier
			objstore.LateSHA256
		}{u, u, u}
	}
	return objstore.LikeUpload(u, like), nil
}

func (u *upload) PutPart(ctx context.Context, n int, body *io.SectionReader) error {
	return u.part(ctx, n, func() ([]byte, error) {
		return readBody(ctx, "part", u.key, body, u.s.caps.MaxPart)
	})
}

// CopyPart makes part n from range r of src.
func (u *upload) CopyPart(ctx context.Context, n int, src string, v objstore.Version, r objstore.Range) error {
	return u.part(ctx, n, func() ([]byte, error) {
		o, err := u.s.find("part", src)
		if err != nil {
			return nil, err
		}
		if v != "" && v != o.Version {
			return nil, fail("part", src, objstore.ErrCond, "version is %q, not %q", o.Version, v)
		}
		part, err := o.slice("part", r)
		switch {
		case err != nil:
			return nil, err
		case r.Len >= 0 && int64(len(part)) != r.Len:
			return nil, fail("part", src, objstore.ErrRange, "%d bytes from %d of %d", r.Len, r.Off, o.Size)
		case int64(len(part)) < u.s.caps.MinPart:
			return nil, fail("part", src, objstore.ErrUnsupported, "copied range of %d bytes, at least %d", len(part), u.s.caps.MinPart)
		case int64(len(part)) > u.s.caps.MaxPart:
			return nil, fail("part", src, objstore.ErrUnsupported, "copied range of %d bytes, at most %d", len(part), u.s.caps.MaxPart)
		}
		return bytes.Clone(part), nil
	})
}

// part takes what read returns as part n.
func (u *upload) part(ctx context.Context, n int, read func() ([]byte, error)) error {
	if err := u.s.enter(ctx, "part", u.key); err != nil {
		return err
	}
	if n < 1 || n > u.s.caps.MaxParts {
		return fail("part", u.key, objstore.ErrUnsupported, "part %d of at most %d", n, u.s.caps.MaxParts)
	}
	ordered := u.s.caps.OrderedParts
	u.mu.Lock()
	switch {
	case u.over:
		u.mu.Unlock()
		return fail("part", u.key, objstore.ErrOther, "upload is over")
	case ordered && (u.sending || n != len(u.parts)+1):
		u.mu.Unlock()
		return fail("part", u.key, objstore.ErrUnsupported, "part %d out of order", n)
	}
	u.sending = true
	u.mu.Unlock()

	buf, err := read()

	u.mu.Lock()
	defer u.mu.Unlock()
	u.sending = false
	if err != nil {
		return err
	}
	if u.over {
		return fail("part", u.key, objstore.ErrOther, "upload is over")
	}
	u.parts[n] = buf
	return nil
}

// Commit leaves the upload open when it fails, so that Abort may follow.
func (u *upload) Commit(ctx context.Context, last int) (objstore.Object, error) {
	if err := u.s.enter(ctx, "commit", u.key); err != nil {
		return objstore.Object{}, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	buf, err := u.assemble(last)
	if err != nil {
		return objstore.Object{}, err
	}
	o, err := u.s.store("commit", u.key, buf, u.opt)
	if err != nil {
		return objstore.Object{}, err
	}
	u.end()
	return o, nil
}

// assemble joins parts 1 to last. The caller holds mu.
func (u *upload) assemble(last int) ([]byte, error) {
	if u.over {
		return nil, fail("commit", u.key, objstore.ErrOther, "upload is over")
	}
	if last < 1 {
		return nil, fail("commit", u.key, objstore.ErrOther, "no parts")
	}
	var size int64
	for n := 1; n <= last; n++ {
		p, found := u.parts[n]
		switch {
		case !found:
			return nil, fail("commit", u.key, objstore.ErrOther, "part %d is missing", n)
		case n < last && int64(len(p)) < u.s.caps.MinPart:
			return nil, fail("commit", u.key, objstore.ErrUnsupported, "part %d has %d bytes, at least %d", n, len(p), u.s.caps.MinPart)
		}
		size += int64(len(p))
	}
	if size > u.s.caps.MaxObject {
		return nil, fail("commit", u.key, objstore.ErrUnsupported, "%d bytes, at most %d", size, u.s.caps.MaxObject)
	}
	buf := make([]byte, 0, size)
	for n := 1; n <= last; n++ {
		buf = append(buf, u.parts[n]...)
	}
	return buf, nil
}

// end forgets the parts. The caller holds mu.
func (u *upload) end() {
	u.over, u.parts = true, nil
	u.s.mu.Lock()
	delete(u.s.uploads, u)
	u.s.mu.Unlock()
}

func (u *upload) Abort(ctx context.Context) error {
	if err := u.s.enter(ctx, "abort", u.key); err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.end()
	return nil
}

// SetMetadata changes the metadata that Commit will give.
func (u *upload) SetMetadata(m map[string]string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.opt.Metadata = maps.Clone(m)
}

// SetSHA256 changes the one name in the metadata that Commit will give.
func (u *upload) SetSHA256(sum []byte) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.opt.Metadata = maps.Clone(u.opt.Metadata); u.opt.Metadata == nil {
		u.opt.Metadata = map[string]string{}
	}
	if u.opt.Metadata[objstore.MetaSHA256] = objstore.SHA256Later; sum != nil {
		u.opt.Metadata[objstore.MetaSHA256] = hex.EncodeToString(sum)
	}
}

// AbortStale aborts the uploads below prefix that began before olderThan.
func (s *Store) AbortStale(ctx context.Context, prefix string, olderThan time.Time) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, objstore.NewError("abort", prefix, objstore.ErrTransient, err)
	}
	var stale []*upload
	s.mu.Lock()
	for u := range s.uploads {
		if strings.HasPrefix(u.key, prefix) && u.begun.Before(olderThan) {
			stale = append(stale, u)
		}
	}
	s.mu.Unlock()
	for _, u := range stale {
		if err := u.Abort(ctx); err != nil {
			return 0, err
		}
	}
	return len(stale), nil
}
