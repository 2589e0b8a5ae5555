package fs

import (
	"context"
	"fmt"
	"time"

	"github.com/pailfs/pailfs/objstore"
)

// preserve keeps the content of a file that is about to lose its key for those
// who have it open: inside the provider, under a private key. undo is for when
// the key is not lost after all. The caller holds f.busy.
func (f *file) preserve(ctx context.Context) (undo func(), err error) {
	f.mu.Lock()
	obj := f.obj
	needed := f.committed && f.handles > 0 && !f.private && obj.Size > 0
	f.mu.Unlock()
	if !needed {
		return func() {}, nil
	}
	kept, err := objstore.CopyObject(ctx, f.m.store, f.m.privateKey(), obj, objstore.CopyOptions{Src: obj.Version})
	if err != nil {
		return nil, fmt.Errorf("keep %q for those who have it open: %w", obj.Key, err)
	}
	f.switchTo(kept, true)
	return func() {
		f.switchTo(obj, false)
		f.m.dropPrivate(kept.Key)
	}, nil
}

// switchTo makes the file read the same bytes from elsewhere.
func (f *file) switchTo(obj objstore.Object, private bool) {
	f.mu.Lock()
	f.obj, f.private = obj, private
	dr := f.draft
	f.mu.Unlock()
	if dr != nil {
		dr.SetBase(obj)
	}
	f.dropReader()
}

// dropPrivate removes a private object in the background.
func (m *mount) dropPrivate(key string) {
	m.late.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), m.opt.Timeout)
		defer cancel()
		if err := m.store.Delete(ctx, key, objstore.Cond{}); err != nil {
			m.log.Warn("a private object is left behind", "key", key, "err", err)
		}
	})
}

// unlinked marks a file that has lost its name in d.
func (f *file) unlinked(d *dir, name string) {
	f.m.tree.unlink(&f.place)
	d.forget(name, f)
	f.cancelPending()
	f.mu.Lock()
	idle := f.handles == 0
	f.mu.Unlock()
	if idle {
		f.bury()
	}
}

// bury frees what an unlinked file that nobody has open still holds.
func (f *file) bury() {
	f.mu.Lock()
	dr, obj, private := f.draft, f.obj, f.private
	f.draft, f.private = nil, false
	f.mu.Unlock()
	if dr != nil {
		dr.Discard()
	}
	f.release(f.takePending())
	f.dropReader()
	if private {
		f.m.dropPrivate(obj.Key)
	}
}

// privateKey is a new key for an object that only this mount uses.
func (m *mount) privateKey() string {
	return fmt.Sprintf("%s%d-%d", m.private, time.Now().UnixNano(), m.serial.Add(1))
}
