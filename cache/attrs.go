package cache

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/gob"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/pailfs/pailfs/objstore"
)

// attrFile is what is known of the objects of one directory, as it is on the
// disk: a gob (names need not be UTF-8) behind a line with its CRC32C.
type attrFile struct {
	Store, Prefix string
	Objects       []objstore.Object // keys relative to Prefix
}

const attrMagic = "pailfs attributes 1 "

func (a attrFile) encode() ([]byte, error) {
	var text bytes.Buffer
	if err := gob.NewEncoder(&text).Encode(a); err != nil {
		return nil, err
	}
	head := fmt.Sprintf("%s%08x\n", attrMagic, crc32.Checksum(text.Bytes(), castagnoli))
	return append([]byte(head), text.Bytes()...), nil
}

var errAttrs = errors.New("not attributes of the cache")

func parseAttrs(b []byte) (attrFile, error) {
	head, text, ok := bytes.Cut(b, []byte("\n"))
	want := fmt.Sprintf("%s%08x", attrMagic, crc32.Checksum(text, castagnoli))
	if !ok || string(head) != want {
		return attrFile{}, errAttrs
	}
	var a attrFile
	if gob.NewDecoder(bytes.NewReader(text)).Decode(&a) != nil {
		return attrFile{}, errAttrs
	}
	return a, nil
}

func (d *disk) attrPath(prefix string) string {
	sum := sha256.Sum256([]byte(d.store + "\x00" + prefix))
	return filepath.Join(d.dir, attrsDir, hex.EncodeToString(sum[:16])+attrExt)
}

// Attrs returns what SaveAttrs kept of the objects below a prefix, by their keys
// relative to it. It is only as new as it was then: compare versions.
func (c *Cache) Attrs(prefix string) map[string]objstore.Object {
	if c == nil || !c.disk.usable() {
		return nil
	}
	d := c.disk
	path := d.attrPath(prefix)
	b, err := os.ReadFile(path)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			d.fail(err)
		}
		return nil
	}
	a, err := parseAttrs(b)
	if err == nil && (a.Store != d.store || a.Prefix != prefix) {
		err = errAttrs
	}
	if err != nil {
		d.corrupt(path, err)
		os.Remove(path)
		return nil
	}
	now := time.Now()
	_ = os.Chtimes(path, now, now) // it is evicted too early at worst
	known := make(map[string]objstore.Object, len(a.Objects))
	for _, o := range a.Objects {
		name := o.Key
		o.Key = prefix + name
		known[name] = o
	}
	return known
}

// SaveAttrs keeps what is known of the objects below a prefix, by their keys
// relative to it, in place of what was kept before.
func (c *Cache) SaveAttrs(prefix string, known map[string]objstore.Object) {
	if c == nil || !c.disk.usable() {
		return
	}
	d := c.disk
	a := attrFile{Store: d.store, Prefix: prefix}
	for name, o := range known {
		o.Key = name
		a.Objects = append(a.Objects, o)
	}
	b, err := a.encode()
	if err != nil || int64(len(b)) > d.size/16 || !d.hasFree() {
		return
	}
	path := d.attrPath(prefix)
	temp := path + "." + rand.Text() + tempExt
	err = os.WriteFile(temp, b, 0600)
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		os.Remove(temp)
		d.fail(err)
	}
}
