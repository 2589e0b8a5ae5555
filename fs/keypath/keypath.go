// Package keypath maps names of the file system to keys of the store and back.
// A directory is known by its prefix: "" for the root, else a key that ends in
// a slash, which is also the key of its marker. Keys are shown as they are; a
// key that cannot be a path is hidden, never renamed.
package keypath

import (
	"strings"
)

const (
	// Private is the directory, at the root of a mount, that holds the objects
	// pailfs needs for itself. It is never listed.
	Private = ".pailfs"

	// MaxName is the longest name of a path element, in bytes (NAME_MAX).
	MaxName = 255

	// MaxKey is the longest key that every provider takes, in bytes (S3:
	// "Creating object key names"; GCS and Azure: 1,024).
	MaxKey = 1024
)

// File is the key of the file name in the directory prefix.
func File(prefix, name string) string { return prefix + name }

// Dir is the prefix of the directory name in the directory prefix.
func Dir(prefix, name string) string { return prefix + name + "/" }

// Shown reports whether an object or prefix called name can be shown in the
// directory prefix. The name comes without a trailing slash.
func Shown(prefix, name string) bool {
	switch {
	case name == "" || name == "." || name == "..":
		return false
	case len(name) > MaxName || strings.IndexByte(name, 0) >= 0 || strings.IndexByte(name, '/') >= 0:
		return false
	case prefix == "" && name == Private:
		return false
	}
	return true
}

// Parent splits the key of a file, or the prefix of a directory, into the
// prefix of the directory it is in and its name there.
func Parent(key string) (prefix, name string) {
	key = strings.TrimSuffix(key, "/")
	i := strings.LastIndexByte(key, '/')
	return key[:i+1], key[i+1:]
}
