package fs

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/pailfs/pailfs/fs/draft"
	"github.com/pailfs/pailfs/objstore"
)

func TestErrno(t *testing.T) {
	of := func(kind, cause error) error {
		return fmt.Errorf("commit: %w", objstore.NewError("put", "k", kind, cause))
	}
	other := errors.New("other")
	for _, c := range []struct {
		err  error
		want syscall.Errno
	}{
		{nil, 0},
		{syscall.ENOTEMPTY, syscall.ENOTEMPTY},
		{of(objstore.ErrQuota, syscall.ENOSPC), syscall.ENOSPC},
		{of(objstore.ErrQuota, other), syscall.EDQUOT},
		{of(objstore.ErrNotFound, other), syscall.ENOENT},
		{of(objstore.ErrCond, other), syscall.ESTALE},
		{of(objstore.ErrPermission, other), syscall.EACCES},
		{of(objstore.ErrChecksum, other), syscall.EIO},
		// What the network says is no errno of a file.
		{of(objstore.ErrTransient, syscall.ECONNRESET), syscall.EIO},
		{of(objstore.ErrTransient, syscall.ECONNREFUSED), syscall.EIO},
		{of(objstore.ErrThrottled, other), syscall.EIO},
		{of(objstore.ErrOther, context.Canceled), syscall.EINTR},
		{context.DeadlineExceeded, syscall.ETIMEDOUT},
		{draft.ErrTooBig, syscall.EFBIG},
		{other, syscall.EIO},
	} {
		if got := errno(c.err); got != c.want {
			t.Errorf("errno(%v) = %v, want %v", c.err, got, c.want)
		}
	}
}
