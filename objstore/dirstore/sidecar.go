package dirstore

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"strconv"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/pailfs/pailfs/objstore"
)

// record is what a sidecar says of the file, or directory, of its inode. As a
// file it is one line of JSON, and the lines of foldSums.
type record struct {
	Version      objstore.Version  `json:"version"` // of what it describes
	ContentType  string            `json:"contentType,omitempty"`
	StorageClass string            `json:"storageClass,omitempty"`
	Metadata     map[string]string `json:"metadata,omitempty"`
	Binary       map[string][]byte `json:"binary,omitempty"` // metadata that is not UTF-8
	SHA256       string            `json:"sha256,omitempty"` // of the whole, in hex
	Sums         bool              `json:"sums,omitempty"`   // whether lines of sums follow

	sums []sum // empty where unknown, or not asked for
}

var errSidecar = errors.New("damaged sidecar")

// describe sets what a record says of metadata and checksums.
func describe(contentType, class string, metadata map[string]string, sums []sum, sha []byte) record {
	r := record{ContentType: contentType, StorageClass: class, Sums: sums != nil, sums: sums}
	if sha == nil && sums != nil {
		sha = wholeSHA(sums)
	}
	r.SHA256 = hex.EncodeToString(sha)
	r.setMetadata(metadata)
	return r
}

func (r *record) setMetadata(m map[string]string) {
	r.Metadata, r.Binary = map[string]string{}, map[string][]byte{}
	for k, v := range m {
		if utf8.ValidString(k) && utf8.ValidString(v) {
			r.Metadata[k] = v
		} else {
			r.Binary[strconv.QuoteToASCII(k)] = []byte(v)
		}
	}
}

func (r *record) metadata() map[string]string {
	m := maps.Clone(r.Metadata)
	for k, v := range r.Binary {
		if m == nil {
			m = map[string]string{}
		}
		if name, err := strconv.Unquote(k); err == nil {
			m[name] = string(v)
		}
	}
	return m
}

// object describes a file, or a marker, by its inode and its record.
func (r *record) object(key string, n inode, v objstore.Version) objstore.Object {
	o := objstore.Object{
		Key: key, Size: n.size, ModTime: time.Unix(0, n.mtime), Version: v,
		ContentType: r.ContentType, StorageClass: r.StorageClass,
		Metadata: r.metadata(), MetadataKnown: true,
	}
	if n.isDir() {
		o.Size = 0
	}
	if sha, err := hex.DecodeString(r.SHA256); err == nil && len(sha) > 0 {
		o.Checksums.SHA256 = sha
	}
	return o
}

// sidecarPath is the shard and the name of the sidecar of an inode.
func sidecarPath(ino uint64) (shard, name string) {
	return fmt.Sprintf("%02x", ino%256), strconv.FormatUint(ino, 10)
}

// readSidecar gives the record of what has version v at an inode. Where there is
// none, or one of another version, it is empty and found is false. Sums are read
// only if asked for.
func (s *Store) readSidecar(n inode, v objstore.Version, withSums bool) (r record, found bool, err error) {
	dirs, err := s.dirs(false)
	if dirs == nil || err != nil || n.dev != s.dev {
		return record{}, false, err
	}
	shard, name := sidecarPath(n.ino)
	fd, err := openat(dirs.side, shard+"/"+name, unix.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err == unix.ENOENT {
		return record{}, false, nil
	}
	if err != nil {
		return record{}, false, err
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	in := bufio.NewReader(f)
	line, err := in.ReadBytes('\n')
	if err != nil && err != io.EOF {
		return record{}, false, err
	}
	crc, text, _ := bytes.Cut(line, []byte(" "))
	if crcOf(text) != string(crc) || json.Unmarshal(text, &r) != nil {
		return record{}, false, errSidecar
	}
	if r.Version != v {
		return record{}, false, nil
	}
	if withSums && r.Sums {
		if r.sums, err = unfoldSums(in, n.size); err != nil {
			return record{}, false, errors.Join(errSidecar, err)
		}
	}
	return r, true, nil
}

// writeSidecar puts a record durably in place of the one an inode has.
func (s *Store) writeSidecar(n inode, r record) error {
	if n.dev != s.dev {
		return unix.EXDEV
	}
	dirs, err := s.dirs(true)
	if err != nil {
		return err
	}
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	text = append(text, '\n')
	var buf bytes.Buffer
	buf.WriteString(crcOf(text) + " ")
	buf.Write(text)
	foldSums(&buf, r.sums)

	t, err := s.newTemp("side")
	if err != nil {
		return err
	}
	defer t.discard()
	if _, err := t.file.Write(buf.Bytes()); err != nil {
		return err
	}
	if err := t.file.Sync(); err != nil {
		return err
	}
	shard, name := sidecarPath(n.ino)
	dir, _, err := subdir(dirs.side, shard, true)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	if err := t.rename(dir, name); err != nil {
		return err
	}
	return unix.Fsync(dir)
}

// dropSidecar removes the sidecar of an inode. The caller holds the inode open:
// else it could be another's by now.
func (s *Store) dropSidecar(n inode) {
	dirs, err := s.dirs(false)
	if dirs == nil || err != nil || n.dev != s.dev {
		return
	}
	shard, name := sidecarPath(n.ino)
	// A sidecar that stays is one whose version fits no file: it does no harm.
	_ = unix.Unlinkat(dirs.side, shard+"/"+name, 0)
}
