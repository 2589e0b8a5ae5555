package azstore

import (
	"context"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"

	"github.com/pailfs/pailfs/objstore"
)

// Describe says how the container is set up. Blocks of uploads that nobody
// finishes the service drops after a week by itself ("Put Block" in the REST API
// reference). Whether blobs have versions only the account's management tells, but
// soft delete keeps what is overwritten or deleted too, and those who may ask for
// the settings of the account see that.
func (s *Store) Describe(ctx context.Context) (objstore.Settings, error) {
	p, err := s.client.GetProperties(ctx, nil)
	if err != nil {
		return objstore.Settings{}, s.classify("describe", "", err)
	}
	is := func(b *bool) bool { return b != nil && *b }
	set := objstore.Settings{
		ObjectLock: objstore.OnOff(is(p.HasImmutabilityPolicy) || is(p.HasLegalHold) || is(p.IsImmutableStorageWithVersioningEnabled)),
		AbortRule:  objstore.OnOff(true),
	}
	kept, err := s.softDelete(ctx)
	switch {
	case err != nil:
		s.cfg.Log.Debug("the settings of the account are not known", "account", s.cfg.Account, "err", s.classify("describe", "", err))
	case kept:
		set.Versioning = objstore.OnOff(true)
	}
	if is(p.IsImmutableStorageWithVersioningEnabled) { // which is not to be had without
		set.Versioning = objstore.OnOff(true)
	}
	return set, nil
}

// softDelete says whether the account keeps deleted blobs for a while.
func (s *Store) softDelete(ctx context.Context) (bool, error) {
	client, err := s.service()
	if err != nil {
		return false, err
	}
	p, err := client.GetProperties(ctx, nil)
	if err != nil {
		return false, err
	}
	kept := p.DeleteRetentionPolicy
	return kept != nil && kept.Enabled != nil && *kept.Enabled, nil
}

// service is the SDK's client of the account.
func (s *Store) service() (*service.Client, error) {
	options := &service.ClientOptions{ClientOptions: s.options}
	switch {
	case s.key != nil:
		return service.NewClientWithSharedKeyCredential(s.cfg.Endpoint, s.key, options)
	case s.token != nil:
		return service.NewClient(s.cfg.Endpoint, s.token, options)
	case s.signature != nil:
		options.PerRetryPolicies = append([]policy.Policy{s.signature}, options.PerRetryPolicies...)
	}
	return service.NewClientWithNoCredential(s.cfg.Endpoint, options)
}
