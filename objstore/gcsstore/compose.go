package gcsstore

import (
	"bytes"
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"cloud.google.com/go/storage"
	"golang.org/x/sync/errgroup"

	"github.com/pailfs/pailfs/objstore"
)

// composing is how many requests of one commit run side by side.
const composing = 8

// assemble makes the object of its parts: a tree of composes whose last one
// carries the condition and the metadata. Its error is the SDK's.
func (u *upload) assemble(ctx context.Context, parts []part, opt objstore.PutOptions) (*storage.ObjectAttrs, error) {
	class := opt.StorageClass
	if class == "" {
		var err error
		if class, err = u.defaultClass(ctx); err != nil {
			return nil, err
		}
	}
	parts, err := u.extend(ctx, merge(parts))
	if err != nil {
		return nil, err
	}
	objects, err := u.wholes(ctx, parts)
	if err != nil {
		return nil, err
	}
	for len(objects) > maxSources {
		if objects, err = u.level(ctx, objects); err != nil {
			return nil, err
		}
	}
	want := attributes(opt)
	want.Name, want.StorageClass = u.key, class
	if plain(class) {
		return u.compose(ctx, objects, want, opt.Cond)
	}
	// A composite has the class of its sources: one more copy, inside the
	// service, gives it that of the object.
	a, err := u.composeTemporary(ctx, objects, "whole")
	if err != nil {
		return nil, err
	}
	want.Size, want.CRC32C = a.Size, a.CRC32C
	return u.s.rewrite(ctx, a, &want, opt.Cond)
}

// plain says whether a class is Standard, under its name of today or of old.
func plain(class string) bool {
	switch class {
	case "", standard, "MULTI_REGIONAL", "REGIONAL":
		return true
	}
	return false
}

// merge makes one part of ranges of one object that follow each other.
func merge(parts []part) []part {
	var out []part
	for _, p := range parts {
		if n := len(out); n > 0 && out[n-1].object == p.object && out[n-1].r.Off+out[n-1].r.Len == p.r.Off {
			out[n-1].r.Len += p.r.Len
			continue
		}
		out = append(out, p)
	}
	return out
}

// overlap is how much of the end of an object an append may write again: the
// kernel writes whole pages, of which the first holds old bytes.
const overlap = mib

// extend finds appends. Where a range lacks little of the end of its object, and
// the part behind it begins with just that, the whole object can be composed and
// only the part is sent again, shorter.
func (u *upload) extend(ctx context.Context, parts []part) ([]part, error) {
	for i := 1; i < len(parts); i++ {
		p, next := &parts[i-1], &parts[i]
		lack := p.object.Size - p.r.Len
		if p.r.Off != 0 || lack == 0 || lack > overlap || !next.whole() || lack > next.r.Len || next.r.Len >= p.r.Len {
			continue
		}
		end, err := u.bytes(ctx, part{p.object, objstore.Range{Off: p.r.Len, Len: lack}})
		if err != nil {
			return nil, err
		}
		head, err := u.bytes(ctx, part{next.object, objstore.Range{Len: lack}})
		if err != nil {
			return nil, err
		}
		if bytes.Equal(end, head) {
			p.r.Len += lack
			next.r.Off, next.r.Len = lack, next.r.Len-lack
		}
	}
	return slices.DeleteFunc(parts, func(p part) bool { return p.r.Off > 0 && p.r.Len == 0 }), nil
}

// bytes reads a part.
func (u *upload) bytes(ctx context.Context, p part) ([]byte, error) {
	rd, err := u.reader(ctx, p)
	if err != nil {
		return nil, err
	}
	defer rd.Close()
	b := make([]byte, p.r.Len)
	_, err = io.ReadFull(rd, b)
	return b, err
}

// reader opens a part, which must be of the generation that we know.
func (u *upload) reader(ctx context.Context, p part) (io.ReadCloser, error) {
	rd, err := u.s.read(p.object.Name).If(storage.Conditions{GenerationMatch: p.object.Generation}).
		NewRangeReader(ctx, p.r.Off, p.r.Len)
	if err != nil {
		return nil, err
	}
	if rd.Attrs.Generation != p.object.Generation {
		rd.Close()
		return nil, objstore.NewError("part", p.object.Name, objstore.ErrCond, errReplaced)
	}
	return rd, nil
}

// wholes gives an object for each part: what a compose can take.
func (u *upload) wholes(ctx context.Context, parts []part) ([]*storage.ObjectAttrs, error) {
	objects := make([]*storage.ObjectAttrs, len(parts))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(composing)
	for i, p := range parts {
		switch {
		case p.whole() && (p.object.StorageClass == standard || p.object.StorageClass == ""):
			objects[i] = p.object
		case p.whole():
			g.Go(func() (err error) {
				want := u.temporary("copy")
				want.attrs.Name, want.attrs.Size, want.attrs.CRC32C = want.key, p.object.Size, p.object.CRC32C
				objects[i], err = u.s.rewrite(ctx, p.object, &want.attrs, want.cond)
				return err
			})
		default:
			g.Go(func() (err error) {
				objects[i], err = u.resend(ctx, p)
				return err
			})
		}
	}
	return objects, g.Wait()
}

// resend reads a range of an object and writes it as a temporary one. Nothing of
// it is kept in memory.
func (u *upload) resend(ctx context.Context, p part) (*storage.ObjectAttrs, error) {
	h := crc32.New(castagnoli)
	in := u.temporary("range")
	in.cond = objstore.Cond{} // a try after one without an answer shall not meet its object
	in.size = p.r.Len
	in.open = func(ctx context.Context) (io.Reader, error) {
		h.Reset()
		rd, err := u.reader(ctx, p)
		if err != nil {
			return nil, err
		}
		context.AfterFunc(ctx, func() { rd.Close() }) // the try is over, one way or the other
		return io.TeeReader(rd, h), nil
	}
	a, err := u.s.insert(ctx, in)
	if err != nil {
		return nil, err
	}
	if a.CRC32C != h.Sum32() {
		return nil, fmt.Errorf("copy a range of %q: %w", p.object.Name, errChecksum)
	}
	return a, nil
}

// level composes each run of objects into one.
func (u *upload) level(ctx context.Context, objects []*storage.ObjectAttrs) ([]*storage.ObjectAttrs, error) {
	runs := slices.Collect(slices.Chunk(objects, maxSources))
	out := make([]*storage.ObjectAttrs, len(runs))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(composing)
	for i, run := range runs {
		g.Go(func() (err error) {
			out[i], err = u.composeTemporary(ctx, run, "run")
			return err
		})
	}
	return out, g.Wait()
}

func (u *upload) composeTemporary(ctx context.Context, objects []*storage.ObjectAttrs, name string) (*storage.ObjectAttrs, error) {
	if len(objects) == 1 {
		return objects[0], nil
	}
	want := u.temporary(name)
	want.attrs.Name = want.key
	return u.compose(ctx, objects, want.attrs, want.cond)
}

// compose is one compose. Each source must be the generation that we know, and
// the whole must have the CRC32C that follows from theirs. Its error is the SDK's.
func (u *upload) compose(ctx context.Context, objects []*storage.ObjectAttrs, want storage.ObjectAttrs, cond objstore.Cond) (*storage.ObjectAttrs, error) {
	t := new(tries)
	sources := make([]*storage.ObjectHandle, len(objects))
	for i, a := range objects {
		sources[i] = u.s.bucket().Object(a.Name).Generation(a.Generation)
		want.Size += a.Size
		want.CRC32C = combine(want.CRC32C, a.CRC32C, a.Size)
	}
	if want.Size > maxObject {
		return nil, &objstore.Error{Op: "commit", Key: u.key, Kind: objstore.ErrUnsupported,
			Err: fmt.Errorf("%d bytes are more than an object holds", want.Size)}
	}
	c := conditional(u.s.object(want.Name, t), cond).ComposerFrom(sources...)
	c.ContentType, c.Metadata = want.ContentType, want.Metadata
	c.CRC32C, c.SendCRC32C = want.CRC32C, true
	a, err := c.Run(ctx)
	if err != nil {
		return u.s.settle(ctx, t, &want, err)
	}
	if a.Size != want.Size || a.CRC32C != want.CRC32C {
		return nil, fmt.Errorf("compose %q: %w", want.Name, errChecksum)
	}
	return a, nil
}

// defaultClass is the class that the bucket gives to objects without one. Its
// configuration would tell too, but few may read that.
func (u *upload) defaultClass(ctx context.Context) (string, error) {
	u.s.class.Lock()
	class := u.s.class.name
	u.s.class.Unlock()
	if class != "" {
		return class, nil
	}
	in, nothing := u.temporary("class"), uint32(0)
	in.attrs.StorageClass, in.crc = "", &nothing
	in.open = func(context.Context) (io.Reader, error) { return nil, nil } // no bytes
	a, err := u.s.insert(ctx, in)
	if err != nil {
		return "", err
	}
	u.s.learnClass(a.StorageClass)
	return a.StorageClass, nil
}

func (s *Store) learnClass(class string) {
	s.class.Lock()
	defer s.class.Unlock()
	s.class.name = class
}
