package cache

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// evict removes what was not used for longest until cost bytes fit and the disk
// has its free space, but not the entry keep.
func (d *disk) evict(cost int64, keep string) {
	found := d.look()
	order := make([]*kept, 0, len(found))
	for _, k := range found {
		if k.name != keep {
			order = append(order, k)
		}
	}
	slices.SortFunc(order, func(a, b *kept) int { return a.used.Compare(b.used) })
	target := min(d.size/8*7, d.size-d.size/64-cost)
	for _, k := range order {
		if d.used <= target && d.hasFree() {
			break
		}
		if err := k.remove(); err != nil {
			d.fail(err)
			return
		}
		d.used -= k.size
		d.stats.evicted.Add(1)
	}
	d.stats.bytes.Store(d.used)
}

// kept is one entry of the directory: the files of one name.
type kept struct {
	name string // without extension
	ext  string // of the file that tells when it was used
	size int64  // bytes on the disk
	used time.Time
}

// walk finds what is in the directory.
func (d *disk) walk() map[string]*kept {
	found := map[string]*kept{}
	_ = filepath.WalkDir(d.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil // gone meanwhile
		}
		info, err := e.Info()
		if err != nil {
			return nil
		}
		st, ext := info.Sys().(*syscall.Stat_t), filepath.Ext(path)
		switch ext {
		case dataExt, sumExt, attrExt:
		case tempExt:
			if time.Since(info.ModTime()) > time.Hour {
				os.Remove(path) // of a process that died
			}
			return nil
		default:
			return nil
		}
		name := path[:len(path)-len(ext)]
		k := found[name]
		if k == nil {
			k = &kept{name: name, used: info.ModTime()}
			found[name] = k
		}
		k.size += st.Blocks * 512
		if ext == sumExt || ext == attrExt {
			k.used = info.ModTime()
		}
		return nil
	})
	return found
}

// look counts the bytes in the directory.
func (d *disk) look() map[string]*kept {
	found := d.walk()
	d.used, d.added, d.looked = 0, 0, time.Now()
	for _, k := range found {
		d.used += k.size
	}
	d.stats.bytes.Store(d.used)
	return found
}

// remove deletes an entry; who has it open reads on.
func (k *kept) remove() error {
	var errs []error
	for _, ext := range []string{dataExt, sumExt, attrExt} {
		if err := os.Remove(k.name + ext); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
