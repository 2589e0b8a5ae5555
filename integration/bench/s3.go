package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/pailfs/pailfs/integration/servers"
)

// s3Store is S3: versitygw, and aws-sdk-go-v2.
type s3Store struct{}

func (s3Store) namesItself() bool { return false }

func (s3Store) start(string) (access, servers.Own, error) {
	ep, own, err := servers.StartS3()
	return access{Store: "s3", Endpoint: ep.URL, Region: ep.Region, Account: ep.AccessKey, Secret: ep.SecretKey}, own, err
}

// s3Endpoint is an access as the tests have it.
func s3Endpoint(a access) servers.Endpoint {
	return servers.Endpoint{URL: a.Endpoint, Region: a.Region, AccessKey: a.Account, SecretKey: a.Secret}
}

func (s3Store) pailfs(a access, bucket string) (env, options []string, source string) {
	return s3Endpoint(a).Env(), []string{"--endpoint", a.Endpoint, "--region", a.Region, "--path-style", "true"}, "s3://" + bucket
}

func (s3Store) client(a access, parallel int) (client, error) {
	// The SDK by itself keeps no more than ten.
	transport := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.MaxIdleConnsPerHost = parallel
		t.ReadBufferSize, t.WriteBufferSize = bufferSize, bufferSize
	})
	return s3Client{s3.New(s3.Options{
		BaseEndpoint: aws.String(a.Endpoint),
		Region:       a.Region,
		UsePathStyle: true,
		Credentials:  credentials.NewStaticCredentialsProvider(a.Account, a.Secret, ""),
		HTTPClient:   transport,
	})}, nil
}

type s3Client struct{ c *s3.Client }

// cheaply has the body of a request checked by one CRC instead of by the
// SHA-256 of its signature, at this end and at the other: the fastest way that
// still is checked, and the one that pailfs takes.
func cheaply(o *s3.Options) {
	o.APIOptions = append(o.APIOptions, v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)
}

func (c s3Client) makeBucket(ctx context.Context, bucket string) error {
	_, err := c.c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &bucket})
	return err
}

func (c s3Client) put(ctx context.Context, bucket, key string, body *io.SectionReader) error {
	_, err := c.c.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: body,
		ChecksumAlgorithm: types.ChecksumAlgorithmCrc32}, cheaply)
	return err
}

func (c s3Client) get(ctx context.Context, bucket, key string, off, n int64) (io.ReadCloser, error) {
	in := &s3.GetObjectInput{Bucket: &bucket, Key: &key}
	if n >= 0 {
		in.Range = aws.String(fmt.Sprintf("bytes=%d-%d", off, off+n-1))
	}
	out, err := c.c.GetObject(ctx, in)
	if err != nil {
		return nil, err
	}
	return out.Body, nil
}

func (c s3Client) size(ctx context.Context, bucket, key string) (int64, error) {
	out, err := c.c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: &key})
	var missing *types.NotFound
	switch {
	case errors.As(err, &missing):
		return 0, errNotStored
	case err != nil:
		return 0, err
	}
	return aws.ToInt64(out.ContentLength), nil
}

func (c s3Client) list(ctx context.Context, bucket string, each func(key string, size int64)) error {
	pages := s3.NewListObjectsV2Paginator(c.c, &s3.ListObjectsV2Input{Bucket: &bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, o := range page.Contents {
			each(*o.Key, aws.ToInt64(o.Size))
		}
	}
	return nil
}

func (c s3Client) remove(ctx context.Context, bucket, key string) error {
	_, err := c.c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: &key})
	return err
}

func (c s3Client) upload(ctx context.Context, bucket, key string, parts int) (upload, error) {
	up, err := c.c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: &bucket, Key: &key, ChecksumAlgorithm: types.ChecksumAlgorithmCrc32c})
	if err != nil {
		return nil, err
	}
	return &s3Upload{c: c.c, bucket: bucket, key: key, id: up.UploadId, parts: make([]types.CompletedPart, parts)}, nil
}

type s3Upload struct {
	c           *s3.Client
	bucket, key string
	id          *string
	parts       []types.CompletedPart
}

func (u *s3Upload) part(ctx context.Context, i int, body *io.SectionReader) error {
	number := aws.Int32(int32(i + 1))
	out, err := u.c.UploadPart(ctx, &s3.UploadPartInput{
		Bucket: &u.bucket, Key: &u.key, UploadId: u.id,
		PartNumber: number, Body: body,
		ChecksumAlgorithm: types.ChecksumAlgorithmCrc32c,
	}, cheaply)
	if err != nil {
		return err
	}
	u.parts[i] = types.CompletedPart{ETag: out.ETag, PartNumber: number, ChecksumCRC32C: out.ChecksumCRC32C}
	return nil
}

func (u *s3Upload) commit(ctx context.Context) error {
	_, err := u.c.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &u.bucket, Key: &u.key, UploadId: u.id,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: u.parts},
	})
	return err
}
