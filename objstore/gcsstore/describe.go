package gcsstore

import (
	"context"
	"slices"

	"cloud.google.com/go/storage"

	"github.com/pailfs/pailfs/objstore"
)

// Describe says how the bucket is set up. It takes the right storage.buckets.get.
func (s *Store) Describe(ctx context.Context) (objstore.Settings, error) {
	a, err := s.client.Bucket(s.cfg.Bucket).Attrs(ctx)
	if err != nil {
		return objstore.Settings{}, s.classify("describe", "", err)
	}
	return objstore.Settings{
		Versioning: objstore.OnOff(a.VersioningEnabled),
		ObjectLock: objstore.OnOff(a.RetentionPolicy != nil || a.ObjectRetentionMode == "Enabled"),
		AbortRule: objstore.OnOff(slices.ContainsFunc(a.Lifecycle.Rules, func(r storage.LifecycleRule) bool {
			return r.Action.Type == storage.AbortIncompleteMPUAction
		})),
	}, nil
}
