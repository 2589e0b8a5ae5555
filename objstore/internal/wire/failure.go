package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"

	"github.com/pailfs/pailfs/objstore"
)

// Kind is the kind of an answer with an HTTP status that is no success, where
// the service said nothing that tells more.
func Kind(status int) error {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return objstore.ErrPermission
	case http.StatusNotFound:
		return objstore.ErrNotFound
	case http.StatusPreconditionFailed, http.StatusNotModified:
		return objstore.ErrCond
	case http.StatusRequestedRangeNotSatisfiable:
		return objstore.ErrRange
	case http.StatusRequestTimeout:
		return objstore.ErrTransient
	case http.StatusTooManyRequests:
		return objstore.ErrThrottled
	case http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return objstore.ErrUnsupported
	case http.StatusInsufficientStorage:
		return objstore.ErrQuota
	}
	if status >= 500 {
		return objstore.ErrTransient
	}
	return objstore.ErrOther
}

// Broken says whether an error without an answer is the network's.
func Broken(err error) bool {
	var op *net.OpError
	var dns *net.DNSError
	return errors.As(err, &op) || errors.As(err, &dns) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, context.DeadlineExceeded)
}

// Untrusted says whether the certificate of the other side is not accepted: no
// further try will change that.
func Untrusted(err error) bool {
	var certificate *tls.CertificateVerificationError
	return errors.As(err, &certificate)
}

// Cause is why there was no answer, without an SDK's chain of wrappers, which
// would repeat the whole URL.
func Cause(err error) error {
	var (
		certificate *tls.CertificateVerificationError
		op          *net.OpError
		sent        *url.Error
	)
	switch {
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.As(err, &certificate):
		return certificate
	case errors.As(err, &op):
		return op
	case errors.Is(err, context.DeadlineExceeded):
		return context.DeadlineExceeded
	case errors.As(err, &sent):
		return sent.Err
	}
	return err
}
