package s3store

import (
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/pailfs/pailfs/objstore"
)

// maxKey is in bytes (docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html).
const maxKey = 1024

var (
	errKey    = errors.New("S3 holds keys of 1 to 1024 bytes of UTF-8, without NUL")
	errPath   = errors.New("this store keeps objects as files, and the key is no plain path of names up to 255 bytes")
	errMarker = errors.New("this store keeps objects as files, and the key is that of a directory")
	errXML    = errors.New("this store lists keys as plain XML, which cannot hold this one")
)

// checkKey refuses the keys that the store cannot hold, before such a store
// takes one for another.
func (s *Store) checkKey(op, key string) error {
	var err error
	switch {
	case key == "", len(key) > maxKey, !utf8.ValidString(key), strings.ContainsRune(key, 0):
		err = errKey
	case s.facts.Load().paths && !plainPath(key):
		err = errPath
	case s.listsRaw.Load() && strings.ContainsFunc(key, outsideXML):
		err = errXML
	default:
		return nil
	}
	return &objstore.Error{Op: op, Key: key, Kind: objstore.ErrUnsupported, Err: err}
}

// marks says whether key is that of a directory of a store which keeps files:
// such an object has no bytes.
func (s *Store) marks(key string) bool { return s.facts.Load().paths && strings.HasSuffix(key, "/") }

// plainPath says whether key names the same file after a file system has
// cleaned it; one "/" at the end is the mark of a directory object.
func plainPath(key string) bool {
	for name := range strings.SplitSeq(strings.TrimSuffix(key, "/"), "/") {
		if name == "" || name == "." || name == ".." || len(name) > 255 {
			return false
		}
	}
	return true
}

// outsideXML says whether r is no character of XML 1.0.
func outsideXML(r rune) bool {
	return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF
}
