package s3store

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"

	"github.com/pailfs/pailfs/internal/registry"
	"github.com/pailfs/pailfs/objstore"
)

// Store is one bucket.
type Store struct {
	client    *s3.Client
	transport *http.Transport
	cfg       Config
	uploads   *registry.Registry // of this process; nil remembers none

	credentials *credentialsSource // nil for an anonymous one
	signer      *signer

	facts     atomic.Pointer[facts]
	algorithm atomic.Pointer[Checksum] // what uploads carry now: never auto

	tagging tagging
	probed  atomic.Pointer[string] // the prefix that Probe was given

	// listsAlgorithm is set once a listing was seen to name the checksum
	// algorithm of an object that carries ours.
	listsAlgorithm atomic.Bool

	// listsRaw is set once a listing came without the URL encoding it was asked
	// for: then it cannot show keys that XML cannot hold.
	listsRaw atomic.Bool
}

var (
	_ objstore.Store      = (*Store)(nil)
	_ objstore.Upload     = (*upload)(nil)
	_ objstore.PartCopier = (*upload)(nil)
	_ objstore.LateSHA256 = (*upload)(nil)
)

// New returns the store of one bucket. It asks the endpoint for its region and
// its way of addressing; that it gets no answer is an error only if ctx is over.
func New(ctx context.Context, c Config) (objstore.Store, error) {
	s, err := newStore(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := s.locate(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func newStore(ctx context.Context, c Config) (*Store, error) {
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("s3: %w", err)
	}
	setup, err := c.network().Setup()
	if err != nil {
		return nil, fmt.Errorf("s3: %w", err)
	}
	options := []func(*config.LoadOptions) error{
		// Also for STS, SSO and the instance metadata. The SDK adds the CA bundle
		// of its own configuration to this type of client only.
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTransportOptions(setup)),
		config.WithLogger(logging.Nop{}),
		config.WithRetryer(func() aws.Retryer { return newRetryer(c.Retry) }),
	}
	if c.Profile != "" {
		options = append(options, config.WithSharedConfigProfile(c.Profile))
	}
	if c.Region != "" {
		options = append(options, config.WithRegion(c.Region))
	}
	switch {
	case c.Anonymous:
		options = append(options, config.WithCredentialsProvider(aws.AnonymousCredentials{}))
	case c.AccessKey != "":
		options = append(options, config.WithCredentialsProvider(
			credentials.NewStaticCredentialsProvider(c.AccessKey, c.SecretKey, c.SessionToken)))
	}
	ac, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, loadError(err)
	}
	built, ok := ac.HTTPClient.(*awshttp.BuildableClient)
	if !ok {
		return nil, fmt.Errorf("s3: an HTTP client of type %T", ac.HTTPClient)
	}
	transport := built.GetTransport()
	client := &http.Client{
		Transport: transport,
		// A redirect to another region must be seen, not followed unsigned.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if c.Endpoint == "" && ac.BaseEndpoint != nil { // AWS_ENDPOINT_URL or the profile
		c.Endpoint = *ac.BaseEndpoint
		if err := c.validate(); err != nil {
			return nil, fmt.Errorf("s3: %w", err)
		}
	}
	var source *credentialsSource
	if !c.Anonymous {
		source = &credentialsSource{load: func(ctx context.Context) (aws.CredentialsProvider, error) {
			ac, err := config.LoadDefaultConfig(ctx, options...)
			if err != nil {
				return nil, loadError(err)
			}
			return ac.Credentials, nil
		}}
		first := ac.Credentials
		source.current.Store(&first)
		ac.Credentials = source
	}
	if ac.Region == "" {
		ac.Region = "us-east-1" // Amazon's knows where each bucket is, see locate
	}
	c.Region = ac.Region

	s := &Store{transport: transport, cfg: c, credentials: source, signer: newSigner()}
	if c.StateDir != "" {
		if s.uploads, err = registry.Open(c.StateDir); err != nil {
			return nil, fmt.Errorf("s3: %w", err)
		}
	}
	s.client = s3.NewFromConfig(ac, func(o *s3.Options) {
		o.HTTPClient = client
		o.HTTPSignerV4 = s.signer
		if c.Endpoint != "" {
			o.BaseEndpoint = aws.String(c.Endpoint)
		}
		o.UsePathStyle = !c.amazon()
		if c.PathStyle != nil {
			o.UsePathStyle = *c.PathStyle
		}
		// Checksums are ours: one algorithm, in a header, computed once. The
		// SDK's own would go into trailers, which many stores refuse.
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		o.DisableLogOutputChecksumValidationSkipped = true
		// Waiting for "100 Continue" would cost one round trip per part.
		o.ContinueHeaderThresholdBytes = -1
	})
	algorithm := c.Checksum
	if algorithm == ChecksumAuto {
		algorithm = ChecksumCRC32C
	}
	s.algorithm.Store(&algorithm)
	s.facts.Store(&facts{})
	if c.amazon() {
		s.facts.Store(&amazonFacts)
		s.listsAlgorithm.Store(true)
	}
	return s, nil
}

// newRetryer is the SDK's standard one without its quota: that is shared by all
// requests of a client, so that a throttled burst of parts would exhaust it and
// fail a write which one more try would have saved.
func newRetryer(r objstore.Retry) aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.RateLimiter = ratelimit.None
		o.Retryables = append(o.Retryables, retry.RetryableErrorCode{Codes: vanished})
		if r.Attempts > 0 {
			o.MaxAttempts = r.Attempts
		}
		if r.MaxDelay > 0 {
			o.MaxBackoff = r.MaxDelay
			o.Backoff = retry.NewExponentialJitterBackoff(r.MaxDelay)
		}
	})
}

// vanished is the answer of versitygw to a write in a directory that a delete of
// its last object removes at that moment.
var vanished = map[string]struct{}{"ExistingObjectIsDirectory": {}}

// Close drops the idle connections. Uploads that are still open are left to the
// next AbortStale.
func (s *Store) Close() error {
	s.transport.CloseIdleConnections()
	return s.uploads.Close()
}
