// Package objstore is the seam between pailfs and the clouds: a Store is one
// bucket (or a prefix of one) seen through the calls that every provider has.
//
// Drivers live in the packages below this one; open turns a URL into a Store;
// storetest is the contract as a test suite. This package itself imports the
// standard library only.
package objstore

import (
	"context"
	"io"
	"time"
)

// Version names the content of an object: equal versions of one key mean equal
// bytes. It is opaque (an ETag, a generation, or mtime+size+inode).
type Version string

// Object is what a provider says of one object.
type Object struct {
	Key          string
	Size         int64 // bytes
	ModTime      time.Time
	Version      Version
	ContentType  string
	StorageClass string

	// Metadata holds the user metadata, keys in lower case. It is complete
	// only where MetadataKnown is set.
	Metadata map[string]string

	// MetadataKnown is true for every Object returned by Stat, Get, Put, Copy
	// and Commit. In a listing it is true only where Metadata is complete, or
	// where the driver can tell that the object carries none written by pailfs.
	MetadataKnown bool

	Checksums Checksums
}

// Checksums of a whole object, raw bytes, nil where unknown. CRCs are
// big-endian. A multipart object may have none of them.
type Checksums struct {
	SHA256, MD5, CRC32C, CRC64NVME []byte
}

// Range is a byte range. Len < 0 means to the end of the object; the zero value
// is an empty range at the start, so use All for a whole object.
type Range struct{ Off, Len int64 }

// All is the range of a whole object.
var All = Range{0, -1}

// Cond is a condition on the object at a key. The zero value always holds.
type Cond struct {
	Absent  bool    // no object is there
	Version Version // the object there has this version
}

// IsZero reports whether the condition always holds.
func (c Cond) IsZero() bool { return c == Cond{} }

// PutOptions say how an object is written. Nil and empty mean the store's default.
type PutOptions struct {
	Cond         Cond
	ContentType  string
	StorageClass string
	Metadata     map[string]string // keys in lower case
	Checksums    Checksums         // expected; a driver that can has the provider check them
}

// CopyOptions say how an object is copied.
type CopyOptions struct {
	Src Version // the source must have this version; "" for any
	Dst Cond    // condition on the destination

	// Metadata replaces the source's metadata; nil keeps the source's. With
	// dst == src it rewrites the metadata of an object in place.
	Metadata map[string]string
}

// ListRequest asks for one page of keys that begin with Prefix, in byte order
// where Caps.SortedList. With Delim "/" the keys that have another "/" after the
// prefix are folded into ListPage.Prefixes.
type ListRequest struct {
	Prefix, Delim string
	Max           int    // entries a page at most; 0 is the provider's default (and its most)
	Token         string // ListPage.Next of the page before; "" for the first
}

// ListPage is one page of a listing. Objects and Prefixes are each sorted
// where Caps.SortedList, and interleave. Next is "" on the last page.
type ListPage struct {
	Objects  []Object
	Prefixes []string
	Next     string
}

// Caps are the truths of one store at one endpoint.
type Caps struct {
	MaxPut    int64 // bytes of one Put
	MinPart   int64 // bytes of every part but the last, and of every copied range
	MaxPart   int64 // bytes of one part
	MaxObject int64 // bytes of one object
	MaxParts  int   // parts of one upload
	MaxCopy   int64 // bytes of one Copy; larger objects are copied by parts

	CheckedGet int64 // bytes of the longest range that comes with a checksum, where longer ones do not; else 0

	OrderedParts bool // parts must be sent in order, one at a time
	OneUpload    bool // what is committed at a key ends the other uploads to it: their Commit is ErrCond
	SortedList   bool // listings are in byte order of keys
	ListMetadata bool // listings carry user metadata
	CondPut      bool // Put and Commit honour PutOptions.Cond
	CondCopy     bool // Copy honours CopyOptions.Dst
	CondDelete   bool // Delete honours its Cond
	AtomicRename bool // the store has Renamer
}

// Store is one bucket, or one prefix of it. Keys are bytes; a driver refuses,
// with ErrUnsupported, the keys that its provider cannot hold. All methods are
// safe for concurrent use and return *Error (or a context error inside it).
// A cancelled call leaves nothing visible at the key that was not there before,
// except that a Put, Copy, Delete or Commit already sent may have happened.
type Store interface {
	// Stat returns the object at key, or ErrNotFound.
	Stat(ctx context.Context, key string) (Object, error)

	// Get opens a range of the object at key. A range that begins at or beyond
	// the end of a non-empty object is ErrRange; one that ends beyond it is cut.
	// With a Cond that does not hold it is ErrCond. The Object describes the
	// whole object, also when a range is read. Reading a body that breaks off
	// early ends in an error, never in a plain io.EOF.
	Get(ctx context.Context, key string, r Range, cond Cond) (io.ReadCloser, Object, error)

	// Put writes a whole object in one request, atomically. The body may be
	// read more than once.
	Put(ctx context.Context, key string, body *io.SectionReader, opt PutOptions) (Object, error)

	// NewUpload begins an object assembled from parts.
	NewUpload(ctx context.Context, key string, opt PutOptions) (Upload, error)

	// Copy copies src to dst inside the provider, at most Caps.MaxCopy bytes.
	Copy(ctx context.Context, dst, src string, opt CopyOptions) (Object, error)

	// Delete removes the object at key. An absent key is success, unless the
	// Cond names a version: then it is ErrCond.
	Delete(ctx context.Context, key string, cond Cond) error

	// List returns one page of keys.
	List(ctx context.Context, req ListRequest) (ListPage, error)

	Caps() Caps
	Close() error
}

// Upload assembles one object from numbered parts. Nothing is visible at the
// key before Commit succeeded. PutPart may run concurrently unless
// Caps.OrderedParts.
type Upload interface {
	// PutPart sends part n, counted from 1. Sending n again replaces it.
	PutPart(ctx context.Context, n int, body *io.SectionReader) error

	// Commit publishes parts 1 to last as one object, atomically, if
	// PutOptions.Cond holds (else ErrCond). A missing part is an error.
	Commit(ctx context.Context, last int) (Object, error)

	// Abort discards every part. It is idempotent and may follow a failed Commit.
	Abort(ctx context.Context) error
}

// PartCopier is an Upload that can take a part from a range of an existing
// object of the same store, inside the provider.
type PartCopier interface {
	// CopyPart makes part n from range r of src, which must have version v.
	CopyPart(ctx context.Context, n int, src string, v Version, r Range) error
}

// LateMetadata is an Upload whose metadata may still be set until Commit.
type LateMetadata interface {
	SetMetadata(m map[string]string)
}

// LateSHA256 is an Upload that is no LateMetadata, but can note the SHA-256 of its
// bytes after Commit, if its metadata have SHA256Later for it. Commit succeeds whether
// or not that can be done; the object that it returns has the sum if it was.
type LateSHA256 interface {
	SetSHA256(sum []byte) // nil takes back the one before
}

// Renamer is a Store that renames an object in one atomic call.
type Renamer interface {
	Rename(ctx context.Context, dst, src string, opt CopyOptions) (Object, error)
}

// Cleaner is a Store that can find and abort uploads which this program left
// behind, and only those.
type Cleaner interface {
	// AbortStale aborts our unfinished uploads below prefix that began before
	// olderThan, and says how many.
	AbortStale(ctx context.Context, prefix string, olderThan time.Time) (int, error)
}

// Retry bounds how often a driver's SDK tries one request again: exponential
// back-off with jitter, never for an answer that will not change (400, 401,
// 403, 404, 412, a checksum mismatch). The zero value is the SDK's default.
type Retry struct {
	Attempts int           // tries in all
	MaxDelay time.Duration // longest pause between two tries
}
