package draft

import (
	"errors"
	"fmt"
)

var (
	// ErrTooBig: the file would be larger than the store can hold. It comes
	// before the first byte that does not fit.
	ErrTooBig = errors.New("larger than the store can hold")

	// ErrRewriteGone: a part that was sent and whose memory was given back was
	// changed in the middle. The old bytes around the change are in an upload
	// that cannot be read before it is committed.
	ErrRewriteGone = errors.New("bytes were sent and dropped from memory, they cannot be changed before the file is closed; raise the memory budget or give a cache directory")

	// ErrGone: bytes that were sent and dropped are asked for before the commit.
	ErrGone = errors.New("bytes were sent and dropped from memory, they cannot be read before the file is closed")

	// ErrDiscarded: the draft was discarded.
	ErrDiscarded = errors.New("draft was discarded")
)

func goneError(kind error, off, end int64) error {
	return fmt.Errorf("bytes %d to %d: %w", off, end, kind)
}
