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
	if err == io.EOF { // never finished, see newSidecar
		return record{}, false, nil
	}
	if err != nil {
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

// encode is the record as the text of a sidecar.
func (r *record) encode() ([]byte, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	text = append(text, '\n')
	var buf bytes.Buffer
	buf.WriteString(crcOf(text) + " ")
	buf.Write(text)
	foldSums(&buf, r.sums)
	return buf.Bytes(), nil
}

// writeSidecar puts a record durably in place of the one an inode has.
func (s *Store) writeSidecar(n inode, r record) error {
	dir, name, text, err := s.sidecar(n, r)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	t, err := s.newTemp("side")
	if err != nil {
		return err
	}
	defer t.discard()
	if _, err := t.file.Write(text); err != nil {
		return err
	}
	if err := t.file.Sync(); err != nil {
		return err
	}
	if err := t.rename(dir, name); err != nil {
		return err
	}
	return unix.Fsync(dir)
}

// newSidecar writes the record of an inode that has no name yet, and so none to
// lose: it needs no second file, and one sync. A crash leaves the whole of it,
// or a first line without an end, which is no sidecar.
func (s *Store) newSidecar(n inode, r record) error {
	dir, name, text, err := s.sidecar(n, r)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	// What may be there is left over from the last use of the inode number.
	fd, err := openat(dir, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, 0o666)
	if err == unix.EEXIST {
		if err = unix.Unlinkat(dir, name, 0); err == nil {
			fd, err = openat(dir, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, 0o666)
		}
	}
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), name)
	_, err = f.Write(text)
	// Linux file systems persist the name of a new file with its fsync.
	return errors.Join(err, f.Sync(), f.Close())
}

// sidecar gives the open shard directory, the name and the text of a sidecar.
func (s *Store) sidecar(n inode, r record) (dir int, name string, text []byte, err error) {
	if n.dev != s.dev {
		return -1, "", nil, unix.EXDEV
	}
	dirs, err := s.dirs(true)
	if err != nil {
		return -1, "", nil, err
	}
	if text, err = r.encode(); err != nil {
		return -1, "", nil, err
	}
	shard, name := sidecarPath(n.ino)
	dir, _, err = subdir(dirs.side, shard, true)
	return dir, name, text, err
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
