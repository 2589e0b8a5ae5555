package s3store

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Make makes the bucket, in the region of the store, and waits until it is
// there.
func (s *Store) Make(ctx context.Context) error {
	in := &s3.CreateBucketInput{Bucket: &s.cfg.Bucket}
	// Amazon's first region has no name here, and others take none of theirs.
	if s.cfg.amazon() && s.cfg.Region != "us-east-1" {
		in.CreateBucketConfiguration = &types.CreateBucketConfiguration{
			LocationConstraint: types.BucketLocationConstraint(s.cfg.Region),
		}
	}
	if _, err := s.client.CreateBucket(ctx, in); err != nil {
		return s.classify("make bucket", s.cfg.Bucket, err)
	}
	err := s3.NewBucketExistsWaiter(s.client).Wait(ctx, &s3.HeadBucketInput{Bucket: &s.cfg.Bucket}, time.Minute)
	return s.classify("make bucket", s.cfg.Bucket, err)
}
