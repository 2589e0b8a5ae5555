package objstore

import (
	"context"
	"errors"
	"fmt"
)

// Kinds of error. Every error of a Store or Upload unwraps to exactly one.
var (
	ErrNotFound    = errors.New("not found")
	ErrCond        = errors.New("condition does not hold") // somebody else changed the object
	ErrPermission  = errors.New("permission denied")
	ErrRange       = errors.New("range outside the object")
	ErrTransient   = errors.New("temporary failure") // network, 5xx; the outcome may be unknown
	ErrThrottled   = errors.New("throttled")
	ErrUnsupported = errors.New("not supported by the store")
	ErrArchived    = errors.New("object is archived") // must be restored before it can be read
	ErrQuota       = errors.New("quota exceeded")     // the store, or its disk, is full
	ErrChecksum    = errors.New("checksum mismatch")  // what was stored or read is not what was sent
	ErrOther       = errors.New("store error")
)

// ErrNoCredentials is in the chain of an error, besides its kind, when no
// credentials could be found: none were refused, and some may yet come.
var ErrNoCredentials = errors.New("no credentials")

// ErrCredentials is in the chain of an error, besides its kind, when the store
// refused who asks and not what was asked for: the credentials have expired or
// were replaced, and others may do.
var ErrCredentials = errors.New("credentials refused")

// Error is an error of one call on a store.
type Error struct {
	Op   string // stat, get, put, part, commit, abort, copy, delete, list
	Key  string
	Kind error // one of the kinds above
	Err  error // the cause, as the driver or its SDK gave it
}

func (e *Error) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("%s %q: %v", e.Op, e.Key, e.Kind)
	}
	return fmt.Sprintf("%s %q: %v: %v", e.Op, e.Key, e.Kind, e.Err)
}

// Unwrap gives both the kind and the cause.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Err}
}

// NewError makes an *Error. An err that already is an *Error is returned as it
// is; a context error takes the kind ErrTransient.
func NewError(op, key string, kind, err error) error {
	if e := (*Error)(nil); errors.As(err, &e) {
		return err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		kind = ErrTransient
	}
	return &Error{Op: op, Key: key, Kind: kind, Err: err}
}
