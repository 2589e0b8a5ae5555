package s3store

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/internal/wire"
)

// classify turns an error of the SDK into one of the store: by the error's code
// where S3 sent one, else by the HTTP status (an answer to HEAD has no body).
func (s *Store) classify(op, key string, err error) error {
	if err == nil {
		return nil
	}
	if e := (*objstore.Error)(nil); errors.As(err, &e) {
		return err
	}
	f := newFailure(err)
	kind := f.kind(op)
	if f.code == "NoSuchBucket" {
		f.message = fmt.Sprintf("there is no bucket %q", s.cfg.Bucket)
	}
	return objstore.NewError(op, key, kind, f)
}

// A failure is an answer of S3, or none, in few words.
type failure struct {
	code, message string // as S3 sent them
	status        int    // 0 where there was no answer
	request       string // what Amazon's support asks for
	region        string // where the bucket is, if that is the matter
	err           error
}

func newFailure(err error) *failure {
	f := &failure{err: err}
	var resp *smithyhttp.ResponseError
	if errors.As(err, &resp) && resp.Response != nil && resp.Response.Response != nil {
		f.status = resp.HTTPStatusCode()
		f.request = resp.Response.Header.Get("x-amz-request-id")
	}
	if f.status == http.StatusMovedPermanently || f.status == http.StatusTemporaryRedirect || f.status == http.StatusBadRequest {
		f.region = resp.Response.Header.Get("x-amz-bucket-region")
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		f.code, f.message = api.ErrorCode(), api.ErrorMessage()
	}
	return f
}

func (f *failure) Error() string {
	if f.code == "" && f.status == 0 {
		return f.cause().Error()
	}
	text := f.code
	if text == "" {
		text = http.StatusText(f.status)
	}
	if f.message != "" && f.message != f.code {
		text += ": " + strings.TrimSpace(f.message)
	}
	if f.region != "" {
		text += fmt.Sprintf(" The bucket is in region %q.", f.region)
	}
	if f.status != 0 {
		text += fmt.Sprintf(" (status %d", f.status)
		if f.request != "" {
			text += ", request " + f.request
		}
		text += ")"
	}
	return text
}

// cause is why there was no answer, in few words.
func (f *failure) cause() error {
	if e := (*credentialsError)(nil); errors.As(f.err, &e) {
		return e
	}
	return wire.Cause(f.err)
}

func (f *failure) Unwrap() error { return f.err }

// refusals are the codes that are about the credentials, whatever was asked for;
// see docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html.
var refusals = map[string]bool{
	"ExpiredToken": true, "InvalidToken": true, "TokenRefreshRequired": true, "RequestTimeTooSkewed": true,
	"InvalidAccessKeyId": true, "SignatureDoesNotMatch": true, "XAdminUserNotFound": true,
}

// Is says objstore.ErrCredentials.
func (f *failure) Is(target error) bool {
	if target != objstore.ErrCredentials {
		return false
	}
	var none *credentialsError
	return refusals[f.code] || errors.As(f.err, &none)
}

// kinds of the codes whose HTTP status says less than they do; see
// docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html.
var kinds = map[string]error{
	"InvalidObjectState":             objstore.ErrArchived, // 403
	"ObjectNotInActiveTierError":     objstore.ErrArchived,
	"ConditionalRequestConflict":     objstore.ErrCond, // 409
	"PreconditionFailed":             objstore.ErrCond,
	"OperationAborted":               objstore.ErrTransient, // 409: another request on it is under way
	"InvalidRange":                   objstore.ErrRange,
	"BadDigest":                      objstore.ErrChecksum, // 400
	"InvalidDigest":                  objstore.ErrChecksum,
	"XAmzContentSHA256Mismatch":      objstore.ErrChecksum,
	"XAmzContentChecksumMismatch":    objstore.ErrChecksum,
	"ChecksumMismatch":               objstore.ErrChecksum,
	"IncompleteBody":                 objstore.ErrTransient, // 400: the connection broke
	"RequestTimeout":                 objstore.ErrTransient, // 400: the body stopped coming
	"RequestTimeTooSkewed":           objstore.ErrPermission,
	"SlowDown":                       objstore.ErrThrottled,
	"ServiceUnavailable":             objstore.ErrThrottled,
	"RequestLimitExceeded":           objstore.ErrThrottled,
	"TooManyRequests":                objstore.ErrThrottled,
	"Throttling":                     objstore.ErrThrottled,
	"ThrottlingException":            objstore.ErrThrottled,
	"BandwidthLimitExceeded":         objstore.ErrThrottled,
	"QuotaExceeded":                  objstore.ErrQuota,
	"XMinioStorageFull":              objstore.ErrQuota,
	"XMinioAdminBucketQuotaExceeded": objstore.ErrQuota,
	"StorageFull":                    objstore.ErrQuota,
	"NoSuchKey":                      objstore.ErrNotFound,
	"NoSuchBucket":                   objstore.ErrNotFound,
	"NotFound":                       objstore.ErrNotFound,
	"XAdminUserNotFound":             objstore.ErrPermission, // 404: versitygw does not know the access key
	"AccessDenied":                   objstore.ErrPermission,
	"AllAccessDisabled":              objstore.ErrPermission,
	"AccountProblem":                 objstore.ErrPermission,
	"InvalidAccessKeyId":             objstore.ErrPermission,
	"SignatureDoesNotMatch":          objstore.ErrPermission,
	"ExpiredToken":                   objstore.ErrPermission, // 400
	"InvalidToken":                   objstore.ErrPermission, // 400
	"TokenRefreshRequired":           objstore.ErrPermission, // 400
	"NotImplemented":                 objstore.ErrUnsupported,
	"MethodNotAllowed":               objstore.ErrUnsupported,
	"KeyTooLongError":                objstore.ErrUnsupported,
	"KeyTooLong":                     objstore.ErrUnsupported,
	"InvalidURI":                     objstore.ErrUnsupported,
	"XMinioInvalidObjectName":        objstore.ErrUnsupported,
	"XMinioParentIsObject":           objstore.ErrUnsupported,
	"ObjectParentIsFile":             objstore.ErrUnsupported, // versitygw: objects are files
	"ExistingObjectIsDirectory":      objstore.ErrUnsupported, // versitygw
	"DirectoryObjectContainsData":    objstore.ErrUnsupported, // versitygw
	"InternalError":                  objstore.ErrTransient,
	"RequestTimeoutException":        objstore.ErrTransient,
}

// kind is the kind of a failure in op.
func (f *failure) kind(op string) error {
	if f.code == "NoSuchUpload" {
		// The upload is gone. To a commit that may be the answer to a second
		// try whose first one was carried out: what became of it is open.
		if op == "commit" {
			return objstore.ErrTransient
		}
		return objstore.ErrOther
	}
	if kind, ok := kinds[f.code]; ok {
		return kind
	}
	switch f.status {
	case 0:
		return f.unanswered()
	case http.StatusServiceUnavailable:
		return objstore.ErrThrottled
	}
	return wire.Kind(f.status)
}

// unanswered is the kind of an error without an answer.
func (f *failure) unanswered() error {
	var (
		network     net.Error
		sent        *smithyhttp.RequestSendError
		credentials *credentialsError
	)
	switch {
	case errors.As(f.err, &credentials):
		if errors.As(f.err, &network) { // the token service is out of reach
			return objstore.ErrTransient
		}
		return objstore.ErrPermission
	case wire.Untrusted(f.err):
		return objstore.ErrOther
	case errors.Is(f.err, errChecksum):
		return objstore.ErrChecksum
	case errors.As(f.err, &sent), errors.As(f.err, &network), wire.Broken(f.err):
		return objstore.ErrTransient
	}
	return objstore.ErrOther
}

// gone says whether an answer to a conditional request means that the object
// is not there: S3 answers so to If-Match where no object is.
func gone(err error) bool {
	f := newFailure(err)
	return f.status == http.StatusNotFound && f.code != "NoSuchBucket" && f.code != "NoSuchUpload"
}

// refusesChecksum says whether the store does not know our checksum headers.
// Such stores name the header in the message and agree on no code.
func refusesChecksum(err error) bool {
	f := newFailure(err)
	switch f.code {
	case "NotImplemented", "InvalidArgument", "InvalidRequest", "UnsupportedArgument", "MalformedHeader":
	default:
		return false
	}
	text := strings.ToLower(f.message)
	return f.code == "NotImplemented" || strings.Contains(text, "checksum") || strings.Contains(text, "unsupported header")
}
