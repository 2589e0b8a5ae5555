package open

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/pailfs/pailfs/objstore"
)

// Check asks the store one question, so that a missing bucket, refused
// credentials and an endpoint out of reach are known, and told apart, before
// anything depends on them. Its error is one line that says what to do.
func Check(ctx context.Context, s objstore.Store) error {
	_, err := s.List(ctx, objstore.ListRequest{Max: 1})
	return explain(err, "list")
}

// explain puts in front of an error what to do about it. The kind stays.
func explain(err error, do string) error {
	var advice string
	var certificate *tls.CertificateVerificationError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &certificate):
		advice = "the endpoint's certificate is not trusted: give the file of its authority as ca-file"
	case errors.Is(err, objstore.ErrNotFound):
		advice = "there is no such bucket: create it (--create-bucket does), or correct its name, the region or the endpoint"
	case errors.Is(err, objstore.ErrPermission) && do == "write to":
		advice = "the credentials do not allow to write: use others, or mount read-only"
	case do == "create":
		advice = "the bucket is missing and cannot be made"
	case errors.Is(err, objstore.ErrPermission):
		advice = "the credentials are missing or refused: give some that may " + do + " the bucket, by environment (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, GOOGLE_APPLICATION_CREDENTIALS, AZURE_STORAGE_ACCOUNT and AZURE_STORAGE_KEY), profile or file"
	case errors.Is(err, objstore.ErrThrottled):
		advice = "the store asks to slow down: try again later"
	case errors.Is(err, objstore.ErrTransient):
		advice = "the endpoint does not answer: check its address, the network and the proxy"
	default:
		advice = "the store cannot be used"
	}
	return fmt.Errorf("%s (%w)", advice, err)
}
