package azstore

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/pailfs/pailfs/objstore"
)

func TestClassify(t *testing.T) {
	for _, tt := range []struct {
		status int
		code   string
		want   error
	}{
		{304, "ConditionNotMet", objstore.ErrCond},
		{400, "InvalidInput", objstore.ErrOther},
		{400, "Md5Mismatch", objstore.ErrChecksum},
		{400, "Crc64Mismatch", objstore.ErrChecksum},
		{400, "InvalidResourceName", objstore.ErrUnsupported},
		{400, "MetadataTooLarge", objstore.ErrUnsupported},
		{400, "InvalidAuthenticationInfo", objstore.ErrPermission},
		{401, "NoAuthenticationInformation", objstore.ErrPermission},
		{403, "AuthorizationFailure", objstore.ErrPermission},
		{403, "AuthorizationPermissionMismatch", objstore.ErrPermission},
		{403, "AccountIsDisabled", objstore.ErrPermission},
		{403, "CannotVerifyCopySource", objstore.ErrPermission},
		{404, "CannotVerifyCopySource", objstore.ErrNotFound},
		{404, "BlobNotFound", objstore.ErrNotFound},
		{404, "ContainerNotFound", objstore.ErrNotFound},
		{409, "BlobAlreadyExists", objstore.ErrCond},
		{409, "BlobArchived", objstore.ErrArchived},
		{409, "BlobBeingRehydrated", objstore.ErrArchived},
		{409, "SnapshotsPresent", objstore.ErrPermission},
		{409, "BlobImmutableDueToPolicy", objstore.ErrPermission},
		{409, "ContainerBeingDeleted", objstore.ErrNotFound},
		{409, "InvalidBlobType", objstore.ErrUnsupported},
		{409, "PendingCopyOperation", objstore.ErrTransient},
		{412, "ConditionNotMet", objstore.ErrCond},
		{412, "SourceConditionNotMet", objstore.ErrCond},
		{412, "LeaseIdMissing", objstore.ErrPermission}, // no condition of ours
		{413, "RequestBodyTooLarge", objstore.ErrUnsupported},
		{416, "InvalidRange", objstore.ErrRange},
		{429, "", objstore.ErrThrottled},
		{500, "InternalError", objstore.ErrTransient},
		{500, "OperationTimedOut", objstore.ErrTransient},
		{501, "", objstore.ErrUnsupported},
		{503, "ServerBusy", objstore.ErrThrottled},
		{507, "", objstore.ErrQuota},
	} {
		s, _ := played(t, func(request) *http.Response { return refusal(tt.status, tt.code, "What the service says.") },
			func(c *Config) { c.Retry.Attempts = 1 })
		_, err := s.Put(t.Context(), "k", text("x"), objstore.PutOptions{})
		if !errors.Is(err, tt.want) || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "request R1") {
			t.Errorf("%d %s: %v, want %v", tt.status, tt.code, err, tt.want)
		}
	}
}

func TestMessages(t *testing.T) {
	for code, want := range map[string]string{
		"ContainerNotFound":               `there is no container "cont" in the account "acc"`,
		"LeaseIdMissing":                  "holds a lease",
		"SnapshotsPresent":                "has snapshots",
		"AuthorizationPermissionMismatch": "Storage Blob Data Contributor",
		"InvalidInput":                    "What the service says. (status 404, request R1)",
	} {
		s, _ := played(t, func(request) *http.Response { return refusal(404, code, "What the service says.") })
		_, err := s.List(t.Context(), objstore.ListRequest{})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "sig=") {
			t.Errorf("%s: %v, want %q", code, err, want)
		}
	}
}
