package objstore

import (
	"crypto/sha256"
	"encoding/hex"
)

// MetaSHA256 is the metadata name under which pailfs notes the SHA-256 of the bytes
// that it writes, in hexadecimal. A copy that keeps the metadata keeps it.
const MetaSHA256 = "pailfs-sha256"

// SHA256Later stands in place of the sum where it was not known when the metadata
// were fixed. A store with LateSHA256 may find it elsewhere; then Stat shows it.
const SHA256Later = "later"

// NotedSHA256 is the sum in the object's metadata, nil where there is none.
func (o Object) NotedSHA256() []byte {
	sum, err := hex.DecodeString(o.Metadata[MetaSHA256])
	if err != nil || len(sum) != sha256.Size {
		return nil
	}
	return sum
}

// SHA256 is what can be known of the object without reading it: the sum that the
// provider computed, or else the one that was noted. It is nil where neither is.
func (o Object) SHA256() []byte {
	if o.Checksums.SHA256 != nil {
		return o.Checksums.SHA256
	}
	return o.NotedSHA256()
}
