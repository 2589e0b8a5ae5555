// Package gcsstore is the driver for Google Cloud Storage, over its JSON API.
package gcsstore

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/internal/wire"
)

// Config says how to reach one bucket. Only Bucket is required.
type Config struct {
	Bucket string

	// Endpoint is the root of the JSON API: "http[s]://host[:port][/storage/v1]".
	// "" is Google's, or that of STORAGE_EMULATOR_HOST. An endpoint that is not
	// Google's is given no credentials unless they are named here.
	Endpoint string

	// Credentials are Application Default Credentials (the file that
	// GOOGLE_APPLICATION_CREDENTIALS names, those of gcloud, the metadata server),
	// unless one of these is set.
	CredentialsFile string // a key, or the configuration of workload identity federation
	CredentialsJSON []byte // the content of such a file
	Anonymous       bool   // requests carry no token

	ImpersonateServiceAccount string // e-mail address of the account to act as
	Project                   string // of a bucket that is made, see Make
	UserProject               string // billed for requests, where the requester pays

	CABundle       string         // a PEM file of certificates trusted besides the system's
	ConnectTimeout time.Duration  // 0 means 10 s
	RequestTimeout time.Duration  // longest silence of the network or the service; 0 means 60 s
	Retry          objstore.Retry // zero values mean 6 attempts, 20 s

	// OneStream sends an upload as one resumable request, in order, instead of
	// parts: nothing but the object itself is ever written, as a bucket with a
	// retention policy or soft delete wants it.
	OneStream bool

	// Private is the prefix of the temporary objects that parts are until they
	// are composed; "" means DefaultPrivate. They are left out of listings.
	Private string

	// StateDir is a directory of the local disk, for nothing else, that remembers
	// which temporary objects are of this process, for AbortStale. "" remembers
	// none.
	StateDir string

	Limits *wire.Limits // nil for none

	Log *slog.Logger // nil discards
}

// DefaultPrivate is where parts of uploads are kept.
const DefaultPrivate = ".pailfs/gcs/"

const (
	defaultAttempts = 6
	defaultMaxDelay = 20 * time.Second
)

func (c Config) withDefaults() Config {
	if c.Endpoint == "" {
		c.Endpoint = os.Getenv("STORAGE_EMULATOR_HOST")
		if c.Endpoint != "" && !strings.Contains(c.Endpoint, "://") {
			c.Endpoint = "http://" + c.Endpoint
		}
	}
	if c.ConnectTimeout <= 0 {
		c.ConnectTimeout = wire.DefaultConnectTimeout
	}
	if c.RequestTimeout <= 0 {
		c.RequestTimeout = wire.DefaultRequestTimeout
	}
	if c.Retry.Attempts <= 0 {
		c.Retry.Attempts = defaultAttempts
	}
	if c.Retry.MaxDelay <= 0 {
		c.Retry.MaxDelay = defaultMaxDelay
	}
	if c.Private == "" {
		c.Private = DefaultPrivate
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
	if c.CredentialsFile != "" && c.CredentialsJSON != nil {
		return errors.New("give one of the credentials file and its content")
	}
	if c.Anonymous && (c.named() || c.ImpersonateServiceAccount != "") {
		return errors.New("anonymous access excludes credentials")
	}
	if !strings.HasSuffix(c.Private, "/") {
		return fmt.Errorf("the prefix of temporary objects, %q, must end in a slash", c.Private)
	}
	if c.Endpoint == "" {
		return nil
	}
	return wire.CheckEndpoint(c.Endpoint, "https://host or http://host:port/storage/v1", "file")
}

func (c Config) network() wire.Network {
	return wire.Network{CABundle: c.CABundle, ConnectTimeout: c.ConnectTimeout, RequestTimeout: c.RequestTimeout, Limits: c.Limits}
}

// named says whether the configuration names the credentials.
func (c Config) named() bool { return c.CredentialsFile != "" || c.CredentialsJSON != nil }

// api is the endpoint as the SDK wants it, "" for its own.
func (c Config) api() string {
	u, err := url.Parse(c.Endpoint)
	if c.Endpoint == "" || err != nil {
		return ""
	}
	u.Path = strings.TrimSuffix(u.Path, "/") + "/"
	if u.Path == "/" {
		u.Path = "/storage/v1/"
	}
	return u.String()
}

// google says whether the endpoint is Google's, whose ways are known.
func (c Config) google() bool {
	if c.Endpoint == "" {
		return true
	}
	u, err := url.Parse(c.Endpoint)
	return err == nil && u.Scheme == "https" && strings.HasSuffix(u.Hostname(), ".googleapis.com")
}
