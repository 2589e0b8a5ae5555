package azstore

import (
	"time"

	"github.com/pailfs/pailfs/objstore"
)

const mib = int64(1) << 20

// Limits of learn.microsoft.com/azure/storage/blobs/scalability-targets: one
// Put Blob, and one Put Blob From URL, hold 5000 MiB; a block 4000 MiB; a blob
// 50,000 blocks.
const (
	maxPut    = 5000 * mib
	maxBlock  = 4000 * mib
	maxBlocks = 50_000
	maxObject = maxBlocks * maxBlock // 190.7 TiB

	// The service copies while we wait in silence: an object or a range that takes
	// it no longer than a connection may be silent. Larger objects are copied by
	// ranges, side by side.
	maxCopy = 1024 * mib

	// The most of a range that is read with a checksum of its own (Get Blob,
	// x-ms-range-get-content-crc64 and -md5).
	maxChecked = 4 * mib

	// signed is how long the service may read the source of a copy, started
	// within it or not.
	signed = 24 * time.Hour
)

// Caps. Listings are in alphabetical order ("Listing Blob storage resources" in
// the REST API reference).
func (s *Store) Caps() objstore.Caps {
	return objstore.Caps{
		MaxPut:    maxPut,
		MinPart:   1,
		MaxPart:   maxBlock,
		MaxObject: maxObject,
		MaxParts:  maxBlocks,
		MaxCopy:   maxCopy,

		CheckedGet: maxChecked,

		OneUpload:    true,
		SortedList:   true,
		ListMetadata: true,
		CondPut:      true,
		CondCopy:     true,
		CondDelete:   true,
	}
}
