//go:build !linux

package mounts

import (
	"context"
	"errors"
)

// Nothing of ours is mounted here.
func Unmount(context.Context, string) error { return errors.ErrUnsupported }
func Detach(context.Context, string) error  { return errors.ErrUnsupported }
