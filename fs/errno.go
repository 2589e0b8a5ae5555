package fs

import (
	"context"
	"errors"
	"syscall"

	"github.com/pailfs/pailfs/fs/draft"
	"github.com/pailfs/pailfs/objstore"
)

// errno is the one door from the errors of stores to those of system calls.
func errno(err error) syscall.Errno {
	var direct syscall.Errno
	switch {
	case err == nil:
		return 0
	case errors.Is(err, context.Canceled):
		return syscall.EINTR
	case errors.Is(err, context.DeadlineExceeded):
		return syscall.ETIMEDOUT
	case errors.Is(err, objstore.ErrTransient), errors.Is(err, objstore.ErrThrottled):
		return syscall.EIO // not that of the connection: programs know none of those from files
	case errors.As(err, &direct):
		return direct
	case errors.Is(err, draft.ErrTooBig):
		return syscall.EFBIG
	case errors.Is(err, objstore.ErrNotFound):
		return syscall.ENOENT
	case errors.Is(err, objstore.ErrCond):
		return syscall.ESTALE
	case errors.Is(err, objstore.ErrPermission):
		return syscall.EACCES
	case errors.Is(err, objstore.ErrRange):
		return syscall.EINVAL
	case errors.Is(err, objstore.ErrQuota):
		return syscall.EDQUOT
	case errors.Is(err, objstore.ErrArchived):
		return syscall.EREMOTEIO
	case errors.Is(err, objstore.ErrUnsupported):
		return syscall.ENOTSUP
	}
	return syscall.EIO
}
