package gcsstore

import (
	"encoding/xml"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/storage"
	"google.golang.org/api/googleapi"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/internal/wire"
)

// classify turns an error of the SDK into one of the store: by the reason that
// the service gave, else by the HTTP status.
func (s *Store) classify(op, key string, err error) error {
	if err == nil {
		return nil
	}
	if e := (*objstore.Error)(nil); errors.As(err, &e) {
		return err
	}
	f := newFailure(err)
	if f.noBucket() {
		f.message = fmt.Sprintf("there is no bucket %q", s.cfg.Bucket)
	}
	return objstore.NewError(op, key, f.kind(), f)
}

// A failure is an answer of the service, or none, in few words.
type failure struct {
	reason, message string // as the service sent them
	status          int    // 0 where there was no answer
	err             error
}

func newFailure(err error) *failure {
	f := &failure{err: err}
	var api *googleapi.Error
	switch {
	case errors.As(err, &api):
		f.status, f.message = api.Code, api.Message
		if len(api.Errors) > 0 {
			f.reason = api.Errors[0].Reason
		}
		if f.message == "" {
			f.fromXML(api.Body)
		}
	case errors.Is(err, storage.ErrObjectNotExist), errors.Is(err, storage.ErrBucketNotExist):
		f.status = http.StatusNotFound
	}
	return f
}

// fromXML reads the answer to a download, which speaks the other dialect.
func (f *failure) fromXML(body string) {
	var e struct{ Code, Message, Details string }
	if xml.Unmarshal([]byte(body), &e) != nil {
		return
	}
	f.reason, f.message = e.Code, e.Message
	if e.Details != "" {
		f.message += " " + e.Details
	}
}

func (f *failure) Error() string {
	if f.status == 0 {
		return wire.Cause(f.err).Error()
	}
	text := f.reason
	if text == "" {
		text = http.StatusText(f.status)
	}
	if f.message != "" && f.message != text {
		text += ": " + strings.TrimSpace(f.message)
	}
	return fmt.Sprintf("%s (status %d)", text, f.status)
}

func (f *failure) Unwrap() error { return f.err }

// Is says objstore.ErrCredentials.
func (f *failure) Is(target error) bool {
	if target != objstore.ErrCredentials {
		return false
	}
	var none *credentialsError
	return f.status == http.StatusUnauthorized || errors.As(f.err, &none)
}

func (f *failure) noBucket() bool {
	return f.status == http.StatusNotFound &&
		(f.reason == "NoSuchBucket" || strings.Contains(f.message, "bucket does not exist"))
}

// kinds of the reasons whose HTTP status says less than they do; see
// cloud.google.com/storage/docs/json_api/v1/status-codes.
var kinds = map[string]error{
	"rateLimitExceeded":      objstore.ErrThrottled, // 403 or 429
	"userRateLimitExceeded":  objstore.ErrThrottled,
	"dailyLimitExceeded":     objstore.ErrThrottled,
	"quotaExceeded":          objstore.ErrQuota, // 403
	"conditionNotMet":        objstore.ErrCond,
	"conflict":               objstore.ErrTransient, // 409: another request on it is under way
	"uploadBrokenConnection": objstore.ErrTransient, // 400
}

func (f *failure) kind() error {
	if kind, ok := kinds[f.reason]; ok {
		return kind
	}
	switch f.status {
	case 0:
		return f.unanswered()
	case http.StatusGone: // the session of a resumable upload is lost
		return objstore.ErrTransient
	case http.StatusBadRequest:
		// `Provided CRC32C "..." doesn't match calculated CRC32C "..."` has no
		// reason of its own.
		if strings.Contains(f.message, "CRC32C") || strings.Contains(f.message, "MD5 hash") {
			return objstore.ErrChecksum
		}
	}
	return wire.Kind(f.status)
}

// unanswered is the kind of an error without an answer.
func (f *failure) unanswered() error {
	var (
		network net.Error
		creds   *credentialsError
		token   *auth.Error
	)
	switch {
	case errors.As(f.err, &creds):
		switch {
		case errors.As(f.err, &token) && token.Response != nil && token.Response.StatusCode < 500:
			return objstore.ErrPermission
		case errors.As(f.err, &token), wire.Broken(creds.err): // the token service is out of order, or of reach
			return objstore.ErrTransient
		}
		return objstore.ErrPermission
	case errors.Is(f.err, errChecksum):
		return objstore.ErrChecksum
	case errors.Is(f.err, errBody):
		return objstore.ErrOther
	case errors.As(f.err, &network), wire.Broken(f.err), storage.ShouldRetry(f.err):
		return objstore.ErrTransient
	case strings.Contains(f.err.Error(), "bad CRC"): // the SDK has no type for it
		return objstore.ErrChecksum
	}
	return objstore.ErrOther
}

// gone says whether an answer means that the object, not the bucket, is not there.
func gone(err error) bool {
	f := newFailure(err)
	return f.status == http.StatusNotFound && !f.noBucket()
}

// unmet says whether an answer means that a condition does not hold.
func unmet(err error) bool {
	return newFailure(err).status == http.StatusPreconditionFailed
}
