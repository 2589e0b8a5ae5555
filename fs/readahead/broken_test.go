package readahead

import (
	"context"
	"errors"
	"io"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/pailfs/pailfs/objstore"
)

// broken ends in err after some bytes.
type broken struct {
	io.ReadCloser
	after int64
	err   error
}

func (b *broken) Read(p []byte) (int, error) {
	if b.after == 0 {
		return 0, b.err
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.after)])
	b.after -= int64(n)
	return n, err
}

func TestBrokenBodiesAreReopened(t *testing.T) {
	for _, err := range []error{
		io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET,
		&objstore.Error{Op: "get", Key: "k", Kind: objstore.ErrTransient},
	} {
		for _, limit := range []int64{64 * mib, 4 * kib} {
			bubble(t, 16*mib, Options{Limit: limit}, func(t *testing.T, g *rig, r *Reader) {
				g.store.body = func(n int, rg objstore.Range, body io.ReadCloser) io.ReadCloser {
					return &broken{ReadCloser: body, after: 100_000, err: err}
				}
				for off := int64(0); off < g.obj.Size; off += mib {
					g.read(r, off, mib)
				}
			})
		}
	}
}

func TestBodyWithoutProgressIsAnError(t *testing.T) {
	bubble(t, 4*mib, Options{Limit: 64 * mib}, func(t *testing.T, g *rig, r *Reader) {
		g.store.body = func(n int, rg objstore.Range, body io.ReadCloser) io.ReadCloser {
			if rg.Off+rg.Len <= mib {
				return body
			}
			return &broken{ReadCloser: body, after: max(0, mib-rg.Off), err: syscall.ECONNRESET}
		}
		b := make([]byte, 2*mib)
		n, err := r.ReadAt(t.Context(), b, 0)
		if !errors.Is(err, syscall.ECONNRESET) || int64(n) > mib {
			t.Errorf("got %d bytes, %v", n, err)
		}
		g.read(r, 0, mib) // what arrived is still good
		synctest.Wait()
		g.store.body = nil
		g.read(r, 0, 2*mib)
	})
}

func TestErrorsOfGetSurface(t *testing.T) {
	bubble(t, 64*mib, Options{Limit: 64 * mib}, func(t *testing.T, g *rig, r *Reader) {
		want := &objstore.Error{Op: "get", Key: "k", Kind: objstore.ErrPermission}
		g.store.before = func(context.Context, int, objstore.Range) error { return want }
		for range 3 {
			if _, err := r.ReadAt(t.Context(), make([]byte, readSize), 0); err != want {
				t.Errorf("got %v", err)
			}
		}
		synctest.Wait()
		if n := len(g.store.gets()); n > 6 {
			t.Errorf("%d Gets for 3 reads that fail", n)
		}
		synctest.Wait()
		g.store.before = nil
		g.read(r, 0, mib)
	})
}

func TestAnotherVersionIsErrCond(t *testing.T) {
	for name, ignore := range map[string]bool{"honoured": false, "ignored": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, 64*mib, Options{Limit: 64 * mib}, func(t *testing.T, g *rig, r *Reader) {
				for off := int64(0); off < mib; off += readSize {
					g.read(r, off, readSize)
				}
				synctest.Wait()
				g.put([]byte("something else"))
				if ignore {
					g.put(content(64 * mib)[mib:])
					g.store.Store = careless{g.store.Store}
				}
				_, err := r.ReadAt(t.Context(), make([]byte, readSize), 40*mib)
				if !errors.Is(err, objstore.ErrCond) {
					t.Errorf("got %v, want ErrCond", err)
				}
				g.read(r, mib-readSize, readSize) // kept
			})
		})
	}
}

// careless takes conditions and ignores them, as some stores do.
type careless struct{ objstore.Store }

func (c careless) Get(ctx context.Context, key string, rg objstore.Range, _ objstore.Cond) (io.ReadCloser, objstore.Object, error) {
	return c.Store.Get(ctx, key, rg, objstore.Cond{})
}

func TestErrorAtTheEndOfTheBodyKeepsTheLastBytes(t *testing.T) {
	bubble(t, 10*kib, Options{Limit: 64 * mib}, func(t *testing.T, g *rig, r *Reader) {
		bad := &objstore.Error{Op: "get", Key: "k", Kind: objstore.ErrChecksum}
		g.store.body = func(_ int, rg objstore.Range, body io.ReadCloser) io.ReadCloser {
			return &broken{ReadCloser: body, after: rg.Len, err: bad}
		}
		if n, err := r.ReadAt(t.Context(), make([]byte, 10*kib), 0); err != bad || n != 0 {
			t.Errorf("got %d bytes, %v, want the checksum error", n, err)
		}
	})
}

// Bytes that were changed on their way come right the next time, as long as none
// of them was handed out.
func TestChecksumMismatchIsFetchedAgain(t *testing.T) {
	bubble(t, 10*kib, Options{Limit: 64 * mib}, func(t *testing.T, g *rig, r *Reader) {
		bad := &objstore.Error{Op: "get", Key: "k", Kind: objstore.ErrChecksum}
		g.store.body = func(n int, rg objstore.Range, body io.ReadCloser) io.ReadCloser {
			if n > 0 {
				return body
			}
			return &broken{ReadCloser: body, after: rg.Len, err: bad}
		}
		g.read(r, 0, 10*kib)
	})
}

// wrong comes in pieces, one of which has a bit changed: the store finds out at
// the end.
type wrong struct {
	io.ReadCloser
	at int64
}

func (w *wrong) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p[:min(len(p), 4096)])
	if n > 0 && w.at < 4096 {
		p[n/2] ^= 1
	}
	w.at += int64(n)
	if err == io.EOF {
		err = &objstore.Error{Op: "get", Key: "k", Kind: objstore.ErrChecksum}
	}
	return n, err
}

// The kernel asks for single pages after a READ of several has failed.
func TestNothingOfAWrongObjectIsReadable(t *testing.T) {
	for _, limit := range []int64{64 * mib, 4 * kib} {
		bubble(t, 10*kib, Options{Limit: limit}, func(t *testing.T, g *rig, r *Reader) {
			g.store.body = func(_ int, rg objstore.Range, body io.ReadCloser) io.ReadCloser { return &wrong{ReadCloser: body} }
			whole := make([]byte, 10*kib)
			for _, n := range []int64{10 * kib, 4 * kib} {
				if m, err := r.ReadAt(t.Context(), whole[:n], 0); m != 0 || !errors.Is(err, objstore.ErrChecksum) {
					t.Errorf("reading %d bytes with %d of memory: got %d, %v", n, limit, m, err)
				}
				if limit < 10*kib {
					break // a page that is read directly has no checksum
				}
			}
			g.store.body = nil
			g.read(r, 0, 4*kib)
			g.read(r, 4*kib, 6*kib)
		})
	}
}
