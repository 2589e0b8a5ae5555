package storetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync/atomic"

	"github.com/pailfs/pailfs/objstore"
)

var cancelTests = []test{
	{name: "Before", run: testCancelledBefore},
	{name: "WhilePutting", run: testCancelledWhilePutting},
	{name: "WhileSendingPart", run: testCancelledPart},
	{name: "BeforeCommit", run: testCancelledCommit},
	{name: "WhileReading", run: testCancelledRead},
}

func (f *fixture) wantCancelled(what string, err error) {
	f.Helper()
	if f.wantKind(what, err, objstore.ErrTransient); !errors.Is(err, context.Canceled) {
		f.Errorf("%s: %v does not say that it was cancelled", what, err)
	}
}

func testCancelledBefore(f *fixture) {
	there := f.put("there", []byte("x"), objstore.PutOptions{})
	ctx, cancel := context.WithCancel(f.ctx)
	cancel()
	_, err := f.s.Stat(ctx, there.Key)
	f.wantCancelled("stat", err)
	_, _, err = f.s.Get(ctx, there.Key, objstore.All, objstore.Cond{})
	f.wantCancelled("get", err)
	_, err = f.s.Put(ctx, f.dir+"put", section([]byte("x")), objstore.PutOptions{})
	f.wantCancelled("put", err)
	_, err = f.s.Copy(ctx, f.dir+"copy", there.Key, objstore.CopyOptions{})
	f.wantCancelled("copy", err)
	f.wantCancelled("delete", f.s.Delete(ctx, there.Key, objstore.Cond{}))
	_, err = f.s.List(ctx, objstore.ListRequest{Prefix: f.dir})
	f.wantCancelled("list", err)
	if u, err := f.s.NewUpload(ctx, f.dir+"upload", objstore.PutOptions{}); err == nil {
		f.wantCancelled("part", u.PutPart(ctx, 1, section([]byte("x"))))
		_, err = u.Commit(ctx, 1)
		f.wantCancelled("commit", err)
		f.must("abort", u.Abort(f.ctx))
	} else {
		f.wantCancelled("upload", err)
	}
	f.wantList("left", f.list(""), "there")
}

// cancelling cancels a context when the bytes from a place on are first read.
type cancelling struct {
	*bytes.Reader
	from   int64
	cancel func()
	done   atomic.Bool
}

func (c *cancelling) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > c.from && !c.done.Swap(true) {
		c.cancel()
	}
	return c.Reader.ReadAt(p, off)
}

// cancelledBody is a body that cancels the returned context when it is read.
func (f *fixture) cancelledBody(body []byte, from int64) (context.Context, *io.SectionReader) {
	ctx, cancel := context.WithCancel(f.ctx)
	f.Cleanup(cancel)
	c := &cancelling{Reader: bytes.NewReader(body), from: from, cancel: cancel}
	return ctx, io.NewSectionReader(c, 0, int64(len(body)))
}

// A Put that was cancelled may have happened, but then as a whole.
func testCancelledWhilePutting(f *fixture) {
	n := min(f.caps.MaxPut, 2<<20)
	before, after := pattern(1, 9), pattern(2, n)
	for _, from := range []int64{0, n / 2, n - 1} {
		f.put("k", before, objstore.PutOptions{})
		ctx, body := f.cancelledBody(after, from)
		if _, err := f.s.Put(ctx, f.dir+"k", body, objstore.PutOptions{}); err != nil {
			f.wantCancelled("put", err)
		}
		got, _ := f.get("k", objstore.All)
		if !bytes.Equal(got, before) && !bytes.Equal(got, after) {
			f.Errorf("cancelled at %d: the object is neither old nor new: %s", from, brief(got))
		}
	}
	f.wantList("left", f.list(""), "k")
}

func testCancelledPart(f *fixture) {
	u := f.upload("k", objstore.PutOptions{})
	part := pattern(1, min(f.caps.MaxPart, 1<<20))
	ctx, body := f.cancelledBody(part, int64(len(part)/2))
	if err := u.PutPart(ctx, 1, body); err != nil {
		f.wantCancelled("part", err)
	}
	f.wantAbsent("k")
	if !f.caps.OrderedParts {
		f.must("part again", u.PutPart(f.ctx, 1, section([]byte("again"))))
		f.commit(u, "k", 1, []byte("again"))
	}
}

func testCancelledCommit(f *fixture) {
	u := f.upload("k", objstore.PutOptions{})
	f.sendParts(u, []byte("one"))
	ctx, cancel := context.WithCancel(f.ctx)
	cancel()
	_, err := u.Commit(ctx, 1)
	f.wantCancelled("commit", err)
	f.wantAbsent("k")
	f.must("abort", u.Abort(f.ctx))
	f.wantAbsent("k")
}

// A body whose context ends may be read to its end from a buffer; it may not
// end early as if it were whole.
func testCancelledRead(f *fixture) {
	body := pattern(1, min(f.caps.MaxPut, 4<<20))
	f.put("k", body, objstore.PutOptions{})
	ctx, cancel := context.WithCancel(f.ctx)
	defer cancel()
	r, _, err := f.s.Get(ctx, f.dir+"k", objstore.All, objstore.Cond{})
	f.must("get", err)
	defer r.Close()
	_, err = io.ReadFull(r, make([]byte, len(body)/4))
	f.must("read", err)
	cancel()
	rest, err := io.ReadAll(r)
	if err == nil && len(rest) != len(body)-len(body)/4 {
		f.Errorf("the body ended without an error, %d bytes early", len(body)-len(body)/4-len(rest))
	}
}
