package gcsstore

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"sync"

	"cloud.google.com/go/storage"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/internal/wire"
)

// chunk is what a stream keeps in memory, to send it again after a failure: a
// multiple of 256 KiB (cloud.google.com/storage/docs/resumable-uploads).
const chunk = 16 << 20

// stream is an upload by one resumable request, in order. The service shows
// nothing of it before the last byte came, and forgets it after a week.
type stream struct {
	s   *Store
	key string
	opt objstore.PutOptions

	mu     sync.Mutex // one call at a time, as the bytes go
	sent   int        // parts
	size   int64
	crc    hash.Hash32
	w      *storage.Writer
	cancel context.CancelFunc
	err    error // that broke it off
}

func newStream(s *Store, key string, opt objstore.PutOptions) *stream {
	return &stream{s: s, key: key, opt: opt, crc: crc32.New(castagnoli)}
}

// open begins the request. It outlives the call that begins it.
func (u *stream) open(ctx context.Context) {
	ctx, u.cancel = context.WithCancel(context.WithoutCancel(ctx))
	t := new(tries)
	h := conditional(u.s.object(u.key, t), u.opt.Cond)
	u.w = h.NewWriter(ctx)
	a := attributes(u.opt)
	u.w.ContentType, u.w.StorageClass, u.w.Metadata = a.ContentType, a.StorageClass, a.Metadata
	u.w.ChunkSize = chunk
}

// breakOff ends the request so that nothing comes of it.
func (u *stream) breakOff(err error) {
	if u.err == nil {
		u.err = err
	}
	if u.w != nil {
		u.cancel()
		u.w.Close()
		u.w = nil
	}
}

func (u *stream) PutPart(ctx context.Context, n int, body *io.SectionReader) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.err != nil:
		return objstore.NewError("part", u.key, objstore.ErrOther, u.err)
	case n != u.sent+1 || n > maxParts:
		return &objstore.Error{Op: "part", Key: u.key, Kind: objstore.ErrUnsupported,
			Err: fmt.Errorf("part %d in place of part %d: one stream takes them in order", n, u.sent+1)}
	case ctx.Err() != nil:
		return u.s.classify("part", u.key, ctx.Err())
	}
	if u.w == nil {
		u.open(ctx)
	}
	stop := context.AfterFunc(ctx, u.cancel)
	defer stop()
	w := &watched{w: u.w}
	err := copyBody(io.MultiWriter(u.crc, w), io.NewSectionReader(body, 0, body.Size()), body.Size())
	if err == nil {
		err = w.err
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		u.breakOff(err)
		return u.s.classify("part", u.key, err)
	}
	u.sent, u.size = n, u.size+body.Size()
	return nil
}

// watched remembers the error of a writer.
type watched struct {
	w   io.Writer
	err error
}

func (w *watched) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	w.err = err
	return n, err
}

// Commit sends the rest. A stream that failed cannot be committed again.
func (u *stream) Commit(ctx context.Context, last int) (objstore.Object, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	var none objstore.Object
	switch {
	case u.err != nil:
		return none, &objstore.Error{Op: "commit", Key: u.key, Kind: objstore.ErrOther, Err: u.err}
	case last < 1 || last != u.sent:
		return none, &objstore.Error{Op: "commit", Key: u.key, Kind: objstore.ErrOther,
			Err: fmt.Errorf("%d parts were sent, not %d", u.sent, last)}
	case ctx.Err() != nil:
		return none, u.s.classify("commit", u.key, ctx.Err())
	}
	stop := context.AfterFunc(ctx, u.cancel)
	defer stop()
	w := u.w
	u.w, u.err = nil, wire.ErrOver
	err := w.Close()
	u.cancel()
	if err != nil {
		return none, u.s.classify("commit", u.key, err)
	}
	a := w.Attrs()
	if a.Size != u.size || a.CRC32C != u.crc.Sum32() {
		return none, &objstore.Error{Op: "commit", Key: u.key, Kind: objstore.ErrChecksum, Err: errChecksum}
	}
	return object(a), nil
}

var errAborted = errors.New("the upload was aborted")

func (u *stream) Abort(context.Context) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.breakOff(errAborted)
	return nil
}
