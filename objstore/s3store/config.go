// Package s3store is the driver for Amazon S3 and for everything that speaks
// its protocol: MinIO, Ceph, R2, B2, Wasabi, versitygw and others.
package s3store

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/internal/wire"
)

// Checksum says what protects the bytes of an upload on their way.
type Checksum string

const (
	// ChecksumAuto sends CRC32C and falls back to Content-MD5 at a store that
	// does not know it.
	ChecksumAuto   Checksum = ""
	ChecksumCRC32C Checksum = "crc32c"
	ChecksumMD5    Checksum = "md5" // Content-MD5, which every store knows
	ChecksumNone   Checksum = "none"
)

// Config says how to reach one bucket. Only Bucket is required.
type Config struct {
	Bucket   string
	Region   string // "" asks the SDK's configuration, then the bucket itself
	Endpoint string // "http[s]://host[:port]"; "" is Amazon S3
	Profile  string // of the SDK's shared configuration

	// PathStyle puts the bucket into the path of a URL, not into its host name.
	// nil means path style at every endpoint but Amazon's.
	PathStyle *bool

	// Credentials come from the SDK's default chain (environment, profile, SSO,
	// web identity, instance metadata), unless these are set.
	AccessKey, SecretKey, SessionToken string
	Anonymous                          bool // requests are not signed

	CABundle       string        // a PEM file of certificates trusted besides the system's
	ConnectTimeout time.Duration // 0 means 10 s
	RequestTimeout time.Duration // longest silence of the network or the store; 0 means 60 s
	Retry          objstore.Retry

	// Checksum must be the same for all who write to one bucket: a listing tells
	// by it which objects may carry metadata of pailfs.
	Checksum Checksum

	MaxObject int64 // bytes of the largest object; 0 is what the endpoint is known to hold

	// StateDir is a directory of the local disk, for nothing else, that remembers
	// the uploads which were begun, for AbortStale. "" remembers none.
	StateDir string

	Limits *wire.Limits // nil for none

	Log *slog.Logger // nil discards
}

func (c Config) withDefaults() Config {
	if c.ConnectTimeout <= 0 {
		c.ConnectTimeout = wire.DefaultConnectTimeout
	}
	if c.RequestTimeout <= 0 {
		c.RequestTimeout = wire.DefaultRequestTimeout
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c Config) validate() error {
	if c.Bucket == "" {
		return errors.New("the bucket has no name")
	}
	if strings.ContainsAny(c.Bucket, "/?#") {
		return fmt.Errorf("%q is not the name of a bucket", c.Bucket)
	}
	switch c.Checksum {
	case ChecksumAuto, ChecksumCRC32C, ChecksumMD5, ChecksumNone:
	default:
		return fmt.Errorf("checksum %q: use crc32c, md5 or none", string(c.Checksum))
	}
	if (c.AccessKey == "") != (c.SecretKey == "") {
		return errors.New("an access key and a secret key go together")
	}
	if c.Endpoint == "" {
		return nil
	}
	return wire.CheckEndpoint(c.Endpoint, "https://host or http://host:port", "environment or profile")
}

func (c Config) network() wire.Network {
	return wire.Network{CABundle: c.CABundle, ConnectTimeout: c.ConnectTimeout, RequestTimeout: c.RequestTimeout, Limits: c.Limits}
}

// amazon says whether the endpoint is Amazon S3 itself, whose ways are known.
func (c Config) amazon() bool {
	if c.Endpoint == "" {
		return true
	}
	u, err := url.Parse(c.Endpoint)
	if err != nil {
		return false
	}
	host := u.Hostname()
	return strings.HasSuffix(host, ".amazonaws.com") || strings.HasSuffix(host, ".amazonaws.com.cn")
}
