package s3store

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"net"
	"net/http"
	"regexp"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// locate finds the region and the addressing that the endpoint wants, by asking
// for a listing of one and minding what is said to be wrong with the question.
// Whatever else is wrong is left to the first real request.
func (s *Store) locate(ctx context.Context) error {
	for range 3 { // a wrong region, a wrong address, and the answer
		heard := &overhearing{client: s.client.Options().HTTPClient}
		in := &s3.ListObjectsV2Input{Bucket: &s.cfg.Bucket, MaxKeys: aws.Int32(1)}
		_, err := s.client.ListObjectsV2(ctx, in, func(o *s3.Options) {
			o.HTTPClient = heard
			o.Retryer = aws.NopRetryer{}
		})
		if ctx.Err() != nil {
			return s.classify("list", "", err)
		}
		if err == nil || !s.relocate(newFailure(err), heard.region) {
			return nil
		}
	}
	return nil
}

// relocate changes what an answer says is wrong. It says whether there was any.
func (s *Store) relocate(f *failure, region string) bool {
	if region == "" {
		region = f.region
	}
	if m := expecting.FindStringSubmatch(f.message); region == "" && m != nil {
		region = m[1]
	}
	switch {
	case region != "" && region != s.cfg.Region:
		s.cfg.Log.Info("the bucket is in another region", "bucket", s.cfg.Bucket, "region", region, "asked", s.cfg.Region)
		s.cfg.Region = region
		s.client = s3.New(s.client.Options(), func(o *s3.Options) { o.Region = region })
		return true
	case s.cfg.PathStyle == nil && wantsOtherStyle(f):
		other := !s.client.Options().UsePathStyle
		s.cfg.PathStyle = &other
		s.client = s3.New(s.client.Options(), func(o *s3.Options) { o.UsePathStyle = other })
		return true
	}
	return false
}

// expecting is how Amazon and MinIO name the region in the message of
// AuthorizationHeaderMalformed.
var expecting = regexp.MustCompile(`expecting '([a-z0-9-]+)'`)

// wantsOtherStyle: Alibaba and Tencent refuse the bucket in the path, by these
// codes; where it is in the host name, that may have no address.
func wantsOtherStyle(f *failure) bool {
	var dns *net.DNSError
	return f.code == "SecondLevelDomainForbidden" || f.code == "PathStyleDomainForbidden" || errors.As(f.err, &dns) && dns.IsNotFound
}

// overhearing is a client that notes the region which an answer names: in a
// header at Amazon, in the body elsewhere, where the SDK drops it.
type overhearing struct {
	client s3.HTTPClient
	region string
}

func (c *overhearing) Do(req *http.Request) (*http.Response, error) {
	resp, err := c.client.Do(req)
	if err != nil {
		return resp, err
	}
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusTemporaryRedirect, http.StatusBadRequest, http.StatusForbidden:
	default:
		return resp, nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	resp.Body.Close()
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	var answer struct{ Code, Region string }
	if c.region = resp.Header.Get("x-amz-bucket-region"); c.region == "" && xml.Unmarshal(body, &answer) == nil && answer.Code == "AuthorizationHeaderMalformed" {
		c.region = answer.Region
	}
	return resp, nil
}
