package fs

import (
	"context"
	"errors"
	"syscall"
	"time"

	"github.com/pailfs/pailfs/fs/keypath"
	"github.com/pailfs/pailfs/objstore"
)

// markerKey is the key of the object that holds the attributes of the
// directory with this prefix. The root has no key of its own.
func markerKey(prefix string) string {
	if prefix == "" {
		return keypath.Private + "/root"
	}
	return prefix
}

// loadMarker asks for the attributes of the directory, unless they are fresh.
func (d *dir) loadMarker(ctx context.Context, prefix string) error {
	if d.isFresh() {
		return nil
	}
	obj, err := d.m.store.Stat(ctx, markerKey(prefix))
	if err == nil && prefix != "" {
		d.learn("", obj)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case errors.Is(err, objstore.ErrNotFound):
		d.marker = markerAbsent
		d.attr = d.m.implicitDir()
	case err != nil:
		return err
	default:
		d.marker = markerPresent
		d.attr = d.m.decodeAttr(obj, syscall.S_IFDIR)
	}
	d.checked = time.Now()
	return nil
}

// sawMarker learns from a listing, begun at a moment, that the marker is there.
func (d *dir) sawMarker(o objstore.Object, at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case !d.checked.Before(at): // what is known is newer
	case o.MetadataKnown:
		d.attr, d.marker, d.checked = d.m.decodeAttr(o, syscall.S_IFDIR), markerPresent, at
	case d.marker != markerPresent:
		d.marker = markerPresent
		d.checked = time.Time{} // its attributes are not known yet
	}
}

// sawNoMarker learns from a listing that there is none.
func (d *dir) sawNoMarker(at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.checked.Before(at) {
		d.attr, d.marker, d.checked = d.m.implicitDir(), markerAbsent, at
	}
}

// putMarker writes the marker with the attributes a.
func (d *dir) putMarker(ctx context.Context, prefix string, a attr, cond objstore.Cond) error {
	must, soft := a.encode()
	for k, v := range soft {
		must[k] = v
	}
	_, err := d.m.store.Put(ctx, markerKey(prefix), emptyBody(), objstore.PutOptions{
		Cond: cond, Metadata: must, ContentType: "application/x-directory",
	})
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.attr, d.marker, d.checked = a, markerPresent, time.Now()
	return nil
}

// keep makes sure that the directory does not vanish with its last entry. The
// caller holds a lease on d.
func (d *dir) keep(ctx context.Context, prefix string) error {
	if prefix == "" {
		return nil
	}
	d.mu.Lock()
	state := d.marker
	d.mu.Unlock()
	if state == markerPresent {
		return nil
	}
	if err := d.loadMarker(ctx, prefix); err != nil {
		return err
	}
	d.mu.Lock()
	state, a := d.marker, d.attr
	d.mu.Unlock()
	if state == markerPresent {
		return nil
	}
	err := d.putMarker(ctx, prefix, a, objstore.Cond{Absent: true})
	if errors.Is(err, objstore.ErrCond) {
		return nil // somebody else made it
	}
	return err
}
