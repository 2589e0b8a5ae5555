package mountopts

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// unsetSize marks a size that nobody gave.
const unsetSize = -1

// finishCache fills in the sizes of the cache that nobody gave: a sixteenth of
// the memory budget; a tenth of the disk that the directory is on, and a
// twentieth of it to be left free.
func (o *Options) finishCache() error {
	if o.CacheMemory == unsetSize {
		o.CacheMemory = o.Memory / 16
	}
	if o.CacheDir == "" || o.CacheSize != unsetSize && o.CacheFree != unsetSize {
		return nil
	}
	disk, err := diskSize(o.CacheDir)
	if err != nil {
		return &OptionError{Name: "cache-dir", Value: o.CacheDir, Err: err}
	}
	if o.CacheSize == unsetSize {
		o.CacheSize = disk / 10
	}
	if o.CacheFree == unsetSize {
		o.CacheFree = disk / 20
	}
	return nil
}

// diskSize is the size of the file system that a path is on, or will be.
func diskSize(path string) (int64, error) {
	for {
		var st unix.Statfs_t
		err := unix.Statfs(path, &st)
		switch up := filepath.Dir(path); {
		case err == nil:
			return int64(st.Blocks) * int64(st.Bsize), nil
		case !errors.Is(err, fs.ErrNotExist) || up == path:
			return 0, fmt.Errorf("cannot tell how large its disk is: %w", err)
		default:
			path = up
		}
	}
}

// StoreName names the store for the cache: the source and all that tells where
// it is, without secrets.
func (o *Options) StoreName() string {
	u, err := url.Parse(o.Source)
	if err != nil {
		return Redact(o.Source)
	}
	name := o.FsName()
	for _, p := range []struct{ name, value string }{{"endpoint", o.Endpoint}, {"region", o.Region}, {"account", o.Account}} {
		value := p.value
		if value == "" {
			value = u.Query().Get(p.name)
		}
		name += " " + Redact(value)
	}
	return name
}
