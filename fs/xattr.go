package fs

import (
	"context"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"syscall"
)

// Views of what the store has, which cannot be set.
const viewPrefix = "user.pailfs."

const (
	xattrCreate  = 1 // XATTR_CREATE
	xattrReplace = 2 // XATTR_REPLACE

	// maxXattr is what fits into an object's metadata with the rest, in bytes
	// (S3 and GCS: 2 KiB and 8 KiB of user metadata in all).
	maxXattr = 1200
)

func (f *file) views() map[string]string {
	v := map[string]string{"key": f.m.tree.path(&f.place), "state": f.state()}
	unsaved := f.unsaved()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.committed {
		v["version"] = string(f.obj.Version)
		if f.obj.StorageClass != "" {
			v["storage-class"] = f.obj.StorageClass
		}
		if sum := f.obj.SHA256(); sum != nil && !unsaved {
			v["sha256"] = hex.EncodeToString(sum)
		}
	}
	return v
}

func (f *file) Getxattr(_ context.Context, name string, dest []byte) (uint32, syscall.Errno) {
	if view, ok := strings.CutPrefix(name, viewPrefix); ok {
		if v, ok := f.views()[view]; ok {
			return copyOut(dest, []byte(v))
		}
		return 0, syscall.ENODATA
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.attr.getXattr(name, dest)
}

func (f *file) Listxattr(_ context.Context, dest []byte) (uint32, syscall.Errno) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.attr.listXattr(dest)
}

func (f *file) Setxattr(ctx context.Context, name string, data []byte, flags uint32) syscall.Errno {
	return f.changeXattr(ctx, func(a *attr) syscall.Errno { return a.setXattr(name, data, flags) })
}

func (f *file) Removexattr(ctx context.Context, name string) syscall.Errno {
	return f.changeXattr(ctx, func(a *attr) syscall.Errno { return a.removeXattr(name) })
}

func (f *file) changeXattr(ctx context.Context, change func(*attr) syscall.Errno) syscall.Errno {
	if f.m.opt.ReadOnly {
		return syscall.EROFS
	}
	if en := f.fixedAttr(); en != 0 {
		return en
	}
	ctx, cancel := killable(ctx)
	defer cancel()
	if err := f.settlePending(ctx); err != nil {
		return errno(err)
	}
	f.mu.Lock()
	old := f.attr
	if en := change(&f.attr); en != 0 {
		f.mu.Unlock()
		return en
	}
	f.attrSeq++
	seq := f.attrSeq
	now := f.draft == nil || f.committed && !f.draft.Dirty()
	f.mu.Unlock()
	if !now {
		return 0
	}
	err := f.commitAttr(ctx)
	if err != nil {
		f.restore(old, seq)
	}
	return errno(err)
}

func (d *dir) Getxattr(_ context.Context, name string, dest []byte) (uint32, syscall.Errno) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.attr.getXattr(name, dest)
}

func (d *dir) Listxattr(_ context.Context, dest []byte) (uint32, syscall.Errno) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.attr.listXattr(dest)
}

func (d *dir) Setxattr(ctx context.Context, name string, data []byte, flags uint32) syscall.Errno {
	return d.changeXattr(ctx, func(a *attr) syscall.Errno { return a.setXattr(name, data, flags) })
}

func (d *dir) Removexattr(ctx context.Context, name string) syscall.Errno {
	return d.changeXattr(ctx, func(a *attr) syscall.Errno { return a.removeXattr(name) })
}

func (d *dir) changeXattr(ctx context.Context, change func(*attr) syscall.Errno) syscall.Errno {
	d.mu.Lock()
	try := d.attr
	d.mu.Unlock()
	if en := change(&try); en != 0 {
		return en
	}
	return d.update(ctx, func(a *attr) { change(a) })
}

// getXattr answers security.*, system.* and trusted.* with ENODATA: programs
// ask for them all the time and take that for an answer.
func (a *attr) getXattr(name string, dest []byte) (uint32, syscall.Errno) {
	v, ok := a.xattr[name]
	if !ok {
		return 0, syscall.ENODATA
	}
	return copyOut(dest, v)
}

func (a *attr) listXattr(dest []byte) (uint32, syscall.Errno) {
	var list []byte
	for _, name := range slices.Sorted(maps.Keys(a.xattr)) {
		list = append(append(list, name...), 0)
	}
	return copyOut(dest, list)
}

func (a *attr) setXattr(name string, data []byte, flags uint32) syscall.Errno {
	if !strings.HasPrefix(name, "user.") {
		return syscall.EOPNOTSUPP
	}
	if strings.HasPrefix(name, viewPrefix) {
		return syscall.EPERM
	}
	_, exists := a.xattr[name]
	switch {
	case exists && flags&xattrCreate != 0:
		return syscall.EEXIST
	case !exists && flags&xattrReplace != 0:
		return syscall.ENODATA
	}
	x := maps.Clone(a.xattr)
	if x == nil {
		x = map[string][]byte{}
	}
	x[name] = slices.Clone(data)
	if len(formatXattr(x)) > maxXattr {
		return syscall.ENOSPC
	}
	a.xattr = x
	return 0
}

func (a *attr) removeXattr(name string) syscall.Errno {
	if strings.HasPrefix(name, viewPrefix) {
		return syscall.EPERM
	}
	if _, ok := a.xattr[name]; !ok {
		return syscall.ENODATA
	}
	a.xattr = maps.Clone(a.xattr)
	delete(a.xattr, name)
	return 0
}

// copyOut is how getxattr(2) and listxattr(2) return bytes: an empty buffer
// asks for the size.
func copyOut(dest, v []byte) (uint32, syscall.Errno) {
	if len(dest) == 0 {
		return uint32(len(v)), 0
	}
	if len(dest) < len(v) {
		return uint32(len(v)), syscall.ERANGE
	}
	return uint32(copy(dest, v)), 0
}
