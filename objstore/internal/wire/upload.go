package wire

import (
	"errors"
	"fmt"

	"github.com/pailfs/pailfs/objstore"
)

// ErrOver is the cause of a call on an upload that was committed or aborted.
var ErrOver = errors.New("the upload is over")

// CheckPart refuses a part whose number is not between 1 and most, and any part
// of an upload that is over.
func CheckPart(key string, n, most int, over bool) error {
	switch {
	case n < 1 || n > most:
		return &objstore.Error{Op: "part", Key: key, Kind: objstore.ErrUnsupported,
			Err: fmt.Errorf("part %d: parts are counted from 1 to %d", n, most)}
	case over:
		return &objstore.Error{Op: "part", Key: key, Kind: objstore.ErrOther, Err: ErrOver}
	}
	return nil
}

// Run returns parts 1 to last, none of which may be missing.
func Run[P any](parts map[int]P, last int, over bool) ([]P, error) {
	if over {
		return nil, ErrOver
	}
	if last < 1 {
		return nil, errors.New("no parts")
	}
	run := make([]P, 0, last)
	for n := 1; n <= last; n++ {
		p, ok := parts[n]
		if !ok {
			return nil, fmt.Errorf("part %d is missing", n)
		}
		run = append(run, p)
	}
	return run, nil
}
