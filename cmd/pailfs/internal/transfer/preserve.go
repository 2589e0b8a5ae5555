package transfer

import (
	"io/fs"
	"maps"
	"os"
	"syscall"
	"time"

	"github.com/pailfs/pailfs/internal/filemeta"
	"github.com/pailfs/pailfs/objstore"
)

// withAttributes adds modes and mtime of a local file to what is stored of it,
// where they are to be kept.
func (c *Copier) withAttributes(src objstore.Object) (objstore.Object, error) {
	if !c.Preserve || c.From == nil {
		return src, nil
	}
	fi, err := c.From.Lstat(src.Key)
	if err != nil || !fi.Mode().IsRegular() {
		return src, err
	}
	m := maps.Clone(src.Metadata)
	if m == nil {
		m = map[string]string{}
	}
	m[filemeta.Mode] = filemeta.FormatMode(syscall.S_IFREG | uint32(fi.Mode().Perm()))
	m[filemeta.Mtime] = filemeta.FormatTime(fi.ModTime())
	src.Metadata = m
	return src, nil
}

// setAttributes gives a local file the modes and the mtime that its object has,
// where they are to be kept. Without an mtime it is that of the object.
func (c *Copier) setAttributes(src objstore.Object, name string) error {
	if !c.Preserve || c.Local == nil || !fs.ValidPath(name) { // such as a directory
		return nil
	}
	mode, ok := filemeta.ParseMode(src.Metadata[filemeta.Mode])
	if typ := mode & syscall.S_IFMT; ok && (typ == 0 || typ == syscall.S_IFREG) {
		// Bits that give rights to programs are for nobody to set from a bucket.
		if err := c.Local.Root.Chmod(name, os.FileMode(mode)&fs.ModePerm); err != nil {
			return err
		}
	}
	return c.Local.Root.Chtimes(name, time.Time{}, mtime(src))
}

// mtime is that of the file that an object was made of.
func mtime(o objstore.Object) time.Time {
	if t, ok := filemeta.ParseTime(o.Metadata[filemeta.Mtime]); ok {
		return t
	}
	return o.ModTime
}
