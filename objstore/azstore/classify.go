package azstore

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/internal/wire"
)

// classify turns an error of the SDK into one of the store: by the code that
// the service gave, else by the HTTP status.
func (s *Store) classify(op, key string, err error) error {
	if err == nil {
		return nil
	}
	if e := (*objstore.Error)(nil); errors.As(err, &e) {
		return err
	}
	f := newFailure(err)
	if f.code == bloberror.ContainerNotFound {
		f.message = fmt.Sprintf("there is no container %q in the account %q", s.cfg.Container, s.cfg.Account)
	}
	return objstore.NewError(op, key, f.kind(), f)
}

// A failure is an answer of the service, or none, in few words.
type failure struct {
	code    bloberror.Code
	message string // as the service sent it, its first line
	status  int    // 0 where there was no answer
	request string // what Microsoft's support asks for
	err     error
}

func newFailure(err error) *failure {
	f := &failure{err: err}
	var answer *azcore.ResponseError
	if !errors.As(err, &answer) {
		return f
	}
	f.code, f.status = bloberror.Code(answer.ErrorCode), answer.StatusCode
	if resp := answer.RawResponse; resp != nil {
		f.request = resp.Header.Get("x-ms-request-id")
		f.message = message(resp)
	}
	return f
}

// message is what the body of an answer says, in one line.
func message(resp *http.Response) string {
	body, err := runtime.Payload(resp)
	if err != nil {
		return ""
	}
	var e struct{ Message, AuthenticationErrorDetail string }
	if xml.Unmarshal([]byte(strings.TrimPrefix(string(body), "\ufeff")), &e) != nil {
		return ""
	}
	text, _, _ := strings.Cut(strings.TrimSpace(e.Message), "\n") // request and time follow
	return strings.TrimSpace(text)
}

// advice says more than the service where its words lead astray.
var advice = map[bloberror.Code]string{
	bloberror.LeaseIDMissing:                  "another program holds a lease on the blob: break it (az storage blob lease break), or wait",
	bloberror.SnapshotsPresent:                "the blob has snapshots, which would go with it: delete them first",
	bloberror.BlobImmutableDueToPolicy:        "an immutability policy or a legal hold forbids to replace or delete it yet",
	bloberror.AuthorizationPermissionMismatch: "the identity has no role that allows it, such as Storage Blob Data Contributor",
	bloberror.InvalidBlobType:                 "it is a page or append blob, and not a block blob",
}

func (f *failure) Error() string {
	if f.status == 0 {
		if e := (*credentialsError)(nil); errors.As(f.err, &e) {
			return e.Error()
		}
		return wire.Cause(f.err).Error()
	}
	text := string(f.code)
	if text == "" {
		text = http.StatusText(f.status)
	}
	if more := advice[f.code]; more != "" {
		text += ": " + more
	} else if f.message != "" {
		text += ": " + f.message
	}
	text += fmt.Sprintf(" (status %d", f.status)
	if f.request != "" {
		text += ", request " + f.request
	}
	return text + ")"
}

func (f *failure) Unwrap() error { return f.err }

// Is says objstore.ErrCredentials. A signature that has expired and a key that
// was replaced are both AuthenticationFailed.
func (f *failure) Is(target error) bool {
	if target != objstore.ErrCredentials {
		return false
	}
	var none *credentialsError
	return f.code == bloberror.AuthenticationFailed || f.code == bloberror.InvalidAuthenticationInfo ||
		f.status == http.StatusUnauthorized || errors.As(f.err, &none)
}

// Codes that the SDK has no name for.
const (
	md5Mismatch   bloberror.Code = "Md5Mismatch"
	crc64Mismatch bloberror.Code = "Crc64Mismatch"
)

// kinds of the codes whose HTTP status says less than they do; see "Blob
// service error codes" and "Common REST API error codes" in the REST reference.
var kinds = map[bloberror.Code]error{
	bloberror.BlobAlreadyExists:           objstore.ErrCond, // 409: If-None-Match: *
	bloberror.SourceConditionNotMet:       objstore.ErrCond, // 412
	bloberror.TargetConditionNotMet:       objstore.ErrCond,
	bloberror.BlobOverwritten:             objstore.ErrCond,
	bloberror.BlobArchived:                objstore.ErrArchived, // 409
	bloberror.BlobBeingRehydrated:         objstore.ErrArchived,
	bloberror.LeaseIDMissing:              objstore.ErrPermission, // 412, and no condition of ours
	bloberror.LeaseLost:                   objstore.ErrPermission,
	bloberror.SnapshotsPresent:            objstore.ErrPermission, // 409
	bloberror.BlobImmutableDueToPolicy:    objstore.ErrPermission, // 409
	bloberror.AccountIsDisabled:           objstore.ErrPermission,
	bloberror.UnauthorizedBlobOverwrite:   objstore.ErrPermission,
	bloberror.NoAuthenticationInformation: objstore.ErrPermission,
	bloberror.InvalidAuthenticationInfo:   objstore.ErrPermission, // 400
	bloberror.ContainerDisabled:           objstore.ErrPermission,
	bloberror.ContainerBeingDeleted:       objstore.ErrNotFound,  // 409
	bloberror.ServerBusy:                  objstore.ErrThrottled, // 503
	bloberror.SystemInUse:                 objstore.ErrTransient,
	bloberror.OperationTimedOut:           objstore.ErrTransient,
	bloberror.PendingCopyOperation:        objstore.ErrTransient, // 409
	bloberror.CannotVerifyCopySource:      nil,                   // by its status, which is that of the source
	md5Mismatch:                           objstore.ErrChecksum,  // 400
	crc64Mismatch:                         objstore.ErrChecksum,
	bloberror.InvalidBlobType:             objstore.ErrUnsupported, // 409
	bloberror.InvalidBlobTier:             objstore.ErrUnsupported,
	bloberror.InvalidResourceName:         objstore.ErrUnsupported, // 400
	bloberror.InvalidURI:                  objstore.ErrUnsupported,
	bloberror.RequestURLFailedToParse:     objstore.ErrUnsupported,
	bloberror.MetadataTooLarge:            objstore.ErrUnsupported,
	bloberror.RequestBodyTooLarge:         objstore.ErrUnsupported, // 413
	bloberror.BlockCountExceedsLimit:      objstore.ErrUnsupported,
	bloberror.FeatureVersionMismatch:      objstore.ErrUnsupported,
}

func (f *failure) kind() error {
	if kind := kinds[f.code]; kind != nil {
		return kind
	}
	if f.status != 0 {
		return wire.Kind(f.status)
	}
	return f.unanswered()
}

// unanswered is the kind of an error without an answer.
func (f *failure) unanswered() error {
	var (
		network net.Error
		creds   *credentialsError
	)
	switch {
	case errors.As(f.err, &creds):
		switch answer := creds.answer(); {
		case answer != nil && answer.StatusCode >= 500, answer == nil && wire.Broken(creds.err):
			return objstore.ErrTransient // the token service is out of order, or of reach
		}
		return objstore.ErrPermission
	case errors.Is(f.err, errChecksum):
		return objstore.ErrChecksum
	case errors.Is(f.err, errBody), wire.Untrusted(f.err):
		return objstore.ErrOther
	case errors.As(f.err, &network), wire.Broken(f.err), errors.Is(f.err, io.ErrNoProgress):
		return objstore.ErrTransient
	}
	return objstore.ErrOther
}

// gone says whether an answer means that the blob, not the container, is not
// there. An answer to HEAD has the code in a header.
func gone(err error) bool {
	f := newFailure(err)
	return f.status == http.StatusNotFound && f.code != bloberror.ContainerNotFound
}

// unmet says whether an answer means that a condition does not hold.
func unmet(err error) bool {
	f := newFailure(err)
	return f.status != 0 && f.kind() == objstore.ErrCond
}
