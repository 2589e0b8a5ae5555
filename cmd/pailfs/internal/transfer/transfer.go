// Package transfer copies objects from one store to another, part by part, many
// at once.
package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/pailfs/pailfs/objstore"
	"golang.org/x/sync/errgroup"
)

// Copier copies. Its methods are safe for concurrent use.
type Copier struct {
	Src, Dst objstore.Store
	Same     bool     // both are one store: objects are copied inside the provider
	Parallel int      // parts in flight, each of them in memory: 0 is 8
	Update   bool     // leave out what is there already, see upToDate
	Absent   bool     // fail where an object is there
	Local    *Local   // Dst is a directory of plain files, this one; else nil
	From     *os.Root // Src is a directory of plain files, this one; else nil

	// Preserve keeps modes and mtime of local files, in the metadata of objects as
	// mounts have them.
	Preserve bool

	// Arrived is told of bytes that the destination has; nil does not care.
	Arrived func(n int64)

	part  int64 // least size of a part: 0 is minPart
	once  sync.Once
	slots chan struct{}
}

// minPart is small enough for memory, and large enough for few requests. An
// object up to it is one Put.
const minPart = 16 << 20

func (c *Copier) begin() {
	c.once.Do(func() {
		if c.Parallel < 1 {
			c.Parallel = 8
		}
		if c.part == 0 {
			c.part = minPart
		}
		c.slots = make(chan struct{}, c.Parallel)
	})
}

func (c *Copier) slot(ctx context.Context) (release func(), err error) {
	select {
	case c.slots <- struct{}{}:
		return func() { <-c.slots }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (c *Copier) arrived(n int64) {
	if c.Arrived != nil {
		c.Arrived(n)
	}
}

// Copy copies one object, as Stat or a listing of Src shows it, to a key of Dst.
// It says whether there was anything to do.
func (c *Copier) Copy(ctx context.Context, src objstore.Object, dst string) (copied bool, err error) {
	c.begin()
	if c.Update {
		if done, err := c.upToDate(ctx, src, dst); done || err != nil {
			c.arrived(src.Size)
			return false, err
		}
	}
	if !src.MetadataKnown {
		if src, err = c.Src.Stat(ctx, src.Key); err != nil {
			return false, err
		}
	}
	if src, err = c.withAttributes(src); err != nil {
		return false, err
	}
	opt := objstore.PutOptions{ContentType: src.ContentType, Metadata: src.Metadata, Cond: objstore.Cond{Absent: c.Absent}}
	var made objstore.Object
	switch {
	case c.Same:
		made, err = c.inside(ctx, src, dst)
	case c.Local != nil && src.Size > c.part:
		made, err = c.fetch(ctx, src, dst)
	case src.Size <= min(c.part, c.Dst.Caps().MaxPut):
		opt.Checksums = src.Checksums
		made, err = c.whole(ctx, src, dst, opt)
	default:
		made, err = c.parts(ctx, src, dst, opt)
	}
	if err == nil {
		err = compare(src, made)
	}
	if err == nil {
		err = c.setAttributes(src, dst)
	}
	if err != nil {
		return false, fmt.Errorf("copy %q: %w", src.Key, err)
	}
	return true, nil
}

func (c *Copier) inside(ctx context.Context, src objstore.Object, dst string) (objstore.Object, error) {
	release, err := c.slot(ctx)
	if err != nil {
		return objstore.Object{}, err
	}
	defer release()
	o, err := objstore.CopyObject(ctx, c.Dst, dst, src, objstore.CopyOptions{Src: src.Version, Dst: objstore.Cond{Absent: c.Absent}})
	if err == nil {
		c.arrived(src.Size)
	}
	return o, err
}

func (c *Copier) whole(ctx context.Context, src objstore.Object, dst string, opt objstore.PutOptions) (objstore.Object, error) {
	release, err := c.slot(ctx)
	if err != nil {
		return objstore.Object{}, err
	}
	defer release()
	body, err := c.read(ctx, src, 0, src.Size)
	if err != nil {
		return objstore.Object{}, err
	}
	o, err := c.Dst.Put(ctx, dst, body, opt)
	if err == nil {
		c.arrived(src.Size)
	}
	return o, err
}

// read fetches a part of an object into memory.
func (c *Copier) read(ctx context.Context, src objstore.Object, off, n int64) (*io.SectionReader, error) {
	buf := make([]byte, n)
	if n > 0 {
		body, _, err := c.Src.Get(ctx, src.Key, objstore.Range{Off: off, Len: n}, objstore.Cond{Version: src.Version})
		if err != nil {
			return nil, err
		}
		defer body.Close()
		if _, err := io.ReadFull(body, buf); err != nil {
			return nil, fmt.Errorf("read at byte %d: %w", off, err)
		}
	}
	return io.NewSectionReader(bytes.NewReader(buf), 0, n), nil
}

// partSize is the least that lets the object be put together of so many parts.
func partSize(caps objstore.Caps, least, size int64) (int64, error) {
	n := max(least, caps.MinPart)
	if caps.MaxParts > 0 {
		n = max(n, (size+int64(caps.MaxParts)-1)/int64(caps.MaxParts))
	}
	if caps.MaxPart > 0 && n > caps.MaxPart || caps.MaxObject > 0 && size > caps.MaxObject {
		return 0, fmt.Errorf("%d bytes are more than an object of the destination can have", size)
	}
	return n, nil
}

func (c *Copier) parts(ctx context.Context, src objstore.Object, dst string, opt objstore.PutOptions) (objstore.Object, error) {
	caps := c.Dst.Caps()
	size, err := partSize(caps, c.part, src.Size)
	if err != nil {
		return objstore.Object{}, err
	}
	up, err := c.Dst.NewUpload(ctx, dst, opt)
	if err != nil {
		return objstore.Object{}, err
	}
	last := int((src.Size + size - 1) / size)
	err = c.sendParts(ctx, up, src, size, last, caps.OrderedParts)
	var o objstore.Object
	if err == nil {
		o, err = up.Commit(ctx, last)
	}
	if err != nil {
		return objstore.Object{}, errors.Join(err, up.Abort(context.WithoutCancel(ctx)))
	}
	return o, nil
}

func (c *Copier) sendParts(ctx context.Context, up objstore.Upload, src objstore.Object, size int64, last int, ordered bool) error {
	g, gctx := errgroup.WithContext(ctx)
	if ordered {
		g.SetLimit(1)
	}
	for i := range last {
		release, err := c.slot(gctx)
		if err != nil {
			break // the group, or the caller, says why
		}
		g.Go(func() error {
			defer release()
			off := int64(i) * size
			body, err := c.read(gctx, src, off, min(size, src.Size-off))
			if err == nil {
				err = up.PutPart(gctx, i+1, body)
			}
			if err == nil {
				c.arrived(body.Size())
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// compare says what differs between an object and its copy, as far as both tell.
func compare(src, dst objstore.Object) error {
	if src.Size != dst.Size {
		return &objstore.Error{Op: "copy", Key: dst.Key, Kind: objstore.ErrChecksum, Err: fmt.Errorf("%d bytes became %d", src.Size, dst.Size)}
	}
	if same, known := sameSum(src.Checksums, dst.Checksums); known && !same {
		return &objstore.Error{Op: "copy", Key: dst.Key, Kind: objstore.ErrChecksum, Err: errors.New("the copy has another checksum")}
	}
	return nil
}

// sameSum compares the checksums that two objects both have.
func sameSum(a, b objstore.Checksums) (same, known bool) {
	for _, s := range [][2][]byte{{a.SHA256, b.SHA256}, {a.CRC64NVME, b.CRC64NVME}, {a.CRC32C, b.CRC32C}, {a.MD5, b.MD5}} {
		if s[0] != nil && s[1] != nil {
			return bytes.Equal(s[0], s[1]), true
		}
	}
	return false, false
}

// upToDate says whether the destination has the object: of the same size, and
// with the same checksum, or, where both have none in common, no older.
func (c *Copier) upToDate(ctx context.Context, src objstore.Object, dst string) (bool, error) {
	have, err := c.Dst.Stat(ctx, dst)
	if errors.Is(err, objstore.ErrNotFound) {
		return false, nil
	}
	if err != nil || have.Size != src.Size {
		return false, err
	}
	if src, err = c.Src.Stat(ctx, src.Key); err != nil {
		return false, err
	}
	if same, known := sameSum(src.Checksums, have.Checksums); known {
		return same, nil
	}
	if c.Preserve && c.Local != nil {
		return have.ModTime.Equal(mtime(src)), nil
	}
	return !have.ModTime.Before(src.ModTime.Truncate(time.Second)), nil // many stores keep whole seconds
}
