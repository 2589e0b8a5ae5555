package fs

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/url"
	"strconv"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/pailfs/pailfs/fs/draft"
	"github.com/pailfs/pailfs/internal/filemeta"
	"github.com/pailfs/pailfs/objstore"
)

// Metadata names, as s3fs and rclone write them: mode in decimal with the bits
// of the file type, times in seconds with a fraction, xattr as the JSON object
// of s3fs (values in base64, the whole percent-encoded).
const (
	metaMode  = filemeta.Mode
	metaUID   = "uid"
	metaGID   = "gid"
	metaMtime = filemeta.Mtime
	metaAtime = "atime"
	metaXattr = "xattr"
)

// attr are the attributes of a file or directory.
type attr struct {
	mode     uint32 // with the bits of the file type
	uid, gid uint32
	size     int64
	mtime    time.Time
	atime    time.Time // zero: the same as mtime
	ctime    time.Time
	xattr    map[string][]byte // names with their "user."
	foreign  map[string]string // metadata of other programs, carried along

	// own is false while the attributes are those that the mount gives to
	// objects which carry none.
	own bool
	// mtimeSet is true where the mtime was chosen by a program or stands in the
	// metadata, not taken from a clock.
	mtimeSet bool
}

func (a *attr) fileType() uint32 { return a.mode & syscall.S_IFMT }

// decodeAttr reads the attributes from an object's metadata. What cannot be
// understood is left at the mount's default, and carried along.
func (m *mount) decodeAttr(obj objstore.Object, typ uint32) attr {
	a := attr{
		mode: m.opt.FileMode | syscall.S_IFREG, uid: m.opt.UID, gid: m.opt.GID,
		size: obj.Size, mtime: obj.ModTime, ctime: obj.ModTime,
	}
	if typ == syscall.S_IFDIR {
		a.mode = m.opt.DirMode | syscall.S_IFDIR
	}
	for k, v := range obj.Metadata {
		switch k {
		case draft.MetaID, objstore.MetaSHA256:
			continue
		case metaMode:
			if mode, ok := filemeta.ParseMode(v); ok {
				if t := mode & syscall.S_IFMT; typ == syscall.S_IFREG && t == syscall.S_IFLNK {
					a.mode = mode
				} else {
					a.mode = mode&07777 | a.mode&syscall.S_IFMT
				}
				a.own = true
				continue
			}
		case metaUID:
			if n, err := strconv.ParseUint(v, 10, 32); err == nil {
				a.uid = uint32(n)
				a.own = true
				continue
			}
		case metaGID:
			if n, err := strconv.ParseUint(v, 10, 32); err == nil {
				a.gid = uint32(n)
				a.own = true
				continue
			}
		case metaMtime:
			if t, ok := filemeta.ParseTime(v); ok {
				a.mtime, a.mtimeSet = t, true
				continue
			}
		case metaAtime:
			if t, ok := filemeta.ParseTime(v); ok {
				a.atime = t
				continue
			}
		case metaXattr:
			if x, ok := parseXattr(v); ok {
				a.xattr = x
				continue
			}
		}
		if a.foreign == nil {
			a.foreign = map[string]string{}
		}
		a.foreign[k] = v
	}
	return a
}

// encode gives the metadata that must be stored, and apart from them the mtime
// where nobody chose it.
func (a *attr) encode() (must, soft map[string]string) {
	must = maps.Clone(a.foreign)
	if must == nil {
		must = map[string]string{}
	}
	must[metaMode] = filemeta.FormatMode(a.mode)
	must[metaUID] = strconv.FormatUint(uint64(a.uid), 10)
	must[metaGID] = strconv.FormatUint(uint64(a.gid), 10)
	if len(a.xattr) > 0 {
		must[metaXattr] = formatXattr(a.xattr)
	}
	if !a.atime.IsZero() {
		must[metaAtime] = filemeta.FormatTime(a.atime)
	}
	if a.mtimeSet {
		must[metaMtime] = filemeta.FormatTime(a.mtime)
		return must, nil
	}
	return must, map[string]string{metaMtime: filemeta.FormatTime(a.mtime)}
}

// fill writes the attributes for the kernel.
func (a *attr) fill(out *fuse.Attr) {
	out.Mode = a.mode
	out.Owner = fuse.Owner{Uid: a.uid, Gid: a.gid}
	out.Size = uint64(a.size)
	out.Nlink = 1
	if a.fileType() == syscall.S_IFDIR {
		out.Nlink = 2
	}
	out.Blksize = 1 << 17 // what programs read and write at a time
	out.Blocks = uint64(a.size+511) / 512
	at := a.atime
	if at.IsZero() {
		at = a.mtime
	}
	out.SetTimes(&at, &a.mtime, &a.ctime)
}

func parseXattr(v string) (map[string][]byte, bool) {
	text, err := url.QueryUnescape(v)
	if err != nil {
		return nil, false
	}
	var enc map[string]string
	if json.Unmarshal([]byte(text), &enc) != nil {
		return nil, false
	}
	x := map[string][]byte{}
	for name, val := range enc {
		b, err := base64.StdEncoding.DecodeString(val)
		if err != nil {
			return nil, false
		}
		x[name] = b
	}
	return x, true
}

func formatXattr(x map[string][]byte) string {
	enc := map[string]string{}
	for name, val := range x {
		enc[name] = base64.StdEncoding.EncodeToString(val)
	}
	text, _ := json.Marshal(enc) // a map of strings always marshals
	return url.QueryEscape(string(text))
}
