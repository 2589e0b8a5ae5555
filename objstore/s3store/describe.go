package s3store

import (
	"context"
	"errors"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/pailfs/pailfs/objstore"
)

// Describe says how the bucket is set up. What the credentials may not read, or
// the store does not know, stays empty.
func (s *Store) Describe(ctx context.Context) (objstore.Settings, error) {
	var set objstore.Settings
	v, err := s.client.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: &s.cfg.Bucket})
	if err == nil {
		set.Versioning = objstore.OnOff(v.Status == types.BucketVersioningStatusEnabled)
	} else if kind := s.classify("describe", "", err); errors.Is(kind, objstore.ErrTransient) || errors.Is(kind, objstore.ErrNotFound) {
		return set, kind
	}
	l, err := s.client.GetObjectLockConfiguration(ctx, &s3.GetObjectLockConfigurationInput{Bucket: &s.cfg.Bucket})
	switch {
	case err == nil && l.ObjectLockConfiguration != nil:
		set.ObjectLock = objstore.OnOff(l.ObjectLockConfiguration.ObjectLockEnabled == types.ObjectLockEnabledEnabled)
	case err == nil, saysNone(err, "ObjectLockConfigurationNotFoundError"):
		set.ObjectLock = objstore.OnOff(false)
	}
	r, err := s.client.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: &s.cfg.Bucket})
	switch {
	case err == nil:
		set.AbortRule = objstore.OnOff(slices.ContainsFunc(r.Rules, abortsUploads))
	case saysNone(err, "NoSuchLifecycleConfiguration"):
		set.AbortRule = objstore.OnOff(false)
	}
	return set, nil
}

func abortsUploads(r types.LifecycleRule) bool {
	return r.Status == types.ExpirationStatusEnabled && r.AbortIncompleteMultipartUpload != nil
}

// saysNone says whether an error is the answer that there is no such setting.
func saysNone(err error, code string) bool {
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorCode() == code
}
