// Package azstore is the driver for Azure Blob Storage, block blobs of one
// container, over the Blob service's REST API.
package azstore

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/internal/wire"
)

// Config says how to reach one container. Container is required, and an account
// by one of Account, Endpoint and ConnectionString.
type Config struct {
	Container string

	// Account is the name of the storage account; "" is that of Endpoint, of
	// ConnectionString or of AZURE_STORAGE_ACCOUNT.
	Account string

	// Endpoint is the Blob service of the account:
	// "https://ACCOUNT.blob.core.windows.net" unless given. At an address or
	// localhost the account is the first element of the path, as emulators have
	// it; there "http://127.0.0.1:10000" is Azurite with its well-known account.
	// "" is AZURE_STORAGE_SERVICE_ENDPOINT, unless for another account than that
	// of the environment.
	Endpoint string

	// Credentials: the one of these that is set, then the environment's
	// AZURE_STORAGE_CONNECTION_STRING, AZURE_STORAGE_KEY and
	// AZURE_STORAGE_SAS_TOKEN, then the default chain of azidentity.
	Anonymous        bool
	ConnectionString string
	AccountKey       string // base64
	SAS              string // a shared access signature, with or without "?"

	// CredentialsFile holds one of the three, and may change.
	CredentialsFile string

	CABundle       string         // a PEM file of certificates trusted besides the system's
	ConnectTimeout time.Duration  // 0 means 10 s
	RequestTimeout time.Duration  // longest silence of the network or the service; 0 means 60 s
	Retry          objstore.Retry // zero values mean 6 attempts, 20 s

	Limits *wire.Limits // nil for none

	Log *slog.Logger // nil discards
}

// The account that every Azurite has, with the key that everybody knows
// (learn.microsoft.com/azure/storage/common/storage-use-azurite).
const (
	EmulatorAccount = "devstoreaccount1"
	EmulatorKey     = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

const (
	defaultAttempts = 6
	defaultMaxDelay = 20 * time.Second
	defaultSuffix   = "core.windows.net"
)

// resolve fills in what is left out, from the environment and by default.
func (c Config) resolve(getenv func(string) string) (Config, error) {
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
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	none := !c.Anonymous && c.ConnectionString == "" && c.AccountKey == "" && c.SAS == ""
	switch {
	case none && c.CredentialsFile != "":
		if err := c.fromFile(); err != nil {
			return c, err
		}
	case none:
		c.fromEnvironment(getenv)
	case c.CredentialsFile != "":
		return c, errors.New("a credentials file excludes other credentials")
	}
	if c.ConnectionString != "" {
		if err := c.fromConnectionString(); err != nil {
			return c, err
		}
	}
	if c.Endpoint == "" && (c.Account == "" || c.Account == getenv("AZURE_STORAGE_ACCOUNT")) {
		c.Endpoint = getenv("AZURE_STORAGE_SERVICE_ENDPOINT")
	}
	if c.Account == "" {
		c.Account = getenv("AZURE_STORAGE_ACCOUNT")
	}
	c.SAS = strings.TrimPrefix(c.SAS, "?")
	if err := c.locate(); err != nil {
		return c, err
	}
	return c, c.validate()
}

// fromEnvironment reads the variables that the az command reads.
func (c *Config) fromEnvironment(getenv func(string) string) {
	elsewhere := c.Account != "" && c.Account != getenv("AZURE_STORAGE_ACCOUNT")
	switch {
	case c.Endpoint == "" && c.Account == "" && getenv("AZURE_STORAGE_CONNECTION_STRING") != "":
		c.ConnectionString = getenv("AZURE_STORAGE_CONNECTION_STRING")
	case elsewhere: // a key of one account is of no use at another
	case getenv("AZURE_STORAGE_KEY") != "":
		c.AccountKey = getenv("AZURE_STORAGE_KEY")
	case getenv("AZURE_STORAGE_SAS_TOKEN") != "":
		c.SAS = getenv("AZURE_STORAGE_SAS_TOKEN")
	}
}

var errConnectionString = errors.New("the connection string must look like AccountName=...;AccountKey=... or BlobEndpoint=...;SharedAccessSignature=...")

// fromConnectionString takes apart "Name=Value;Name=Value"
// (learn.microsoft.com/azure/storage/common/storage-configure-connection-string).
func (c *Config) fromConnectionString() error {
	fields := map[string]string{}
	for part := range strings.SplitSeq(strings.Trim(strings.TrimSpace(c.ConnectionString), ";"), ";") {
		name, value, ok := strings.Cut(part, "=")
		if !ok {
			return errConnectionString
		}
		fields[strings.ToLower(strings.TrimSpace(name))] = strings.TrimSpace(value)
	}
	if fields["usedevelopmentstorage"] == "true" {
		fields["accountname"], fields["accountkey"] = EmulatorAccount, EmulatorKey
		fields["blobendpoint"] = "http://127.0.0.1:10000/" + EmulatorAccount
	}
	c.AccountKey, c.SAS = fields["accountkey"], fields["sharedaccesssignature"]
	if c.Account == "" {
		c.Account = fields["accountname"]
	}
	if c.Endpoint == "" {
		c.Endpoint = fields["blobendpoint"]
	}
	if c.Endpoint == "" && c.Account != "" {
		protocol, suffix := fields["defaultendpointsprotocol"], fields["endpointsuffix"]
		if protocol == "" {
			protocol = "https"
		}
		if suffix == "" {
			suffix = defaultSuffix
		}
		c.Endpoint = protocol + "://" + c.Account + ".blob." + suffix
	}
	if c.Endpoint == "" || c.AccountKey == "" && c.SAS == "" {
		return errConnectionString
	}
	return nil
}

// locate makes the endpoint name the account, and the account known.
func (c *Config) locate() error {
	if c.Endpoint == "" {
		if c.Account == "" {
			return errors.New("no storage account: give its name as ?account= or in AZURE_STORAGE_ACCOUNT, or an endpoint")
		}
		c.Endpoint = "https://" + c.Account + ".blob." + defaultSuffix
		return nil
	}
	u, err := url.Parse(c.Endpoint)
	if err != nil {
		return errors.New("the endpoint is no URL")
	}
	if u.RawQuery != "" { // as the portal shows a shared access signature
		if c.SAS == "" && c.AccountKey == "" && !c.Anonymous {
			c.SAS = u.RawQuery
		}
		u.RawQuery = ""
	}
	first, _, _ := strings.Cut(strings.Trim(u.Path, "/"), "/")
	if c.Account == "" {
		switch {
		case first != "":
			c.Account = first
		case inPath(u.Hostname()):
			c.Account = EmulatorAccount
		default:
			c.Account, _, _ = strings.Cut(u.Hostname(), ".")
		}
	}
	if first == "" && inPath(u.Hostname()) {
		u.Path = "/" + c.Account
	}
	if c.Account == EmulatorAccount && c.AccountKey == "" && c.SAS == "" && !c.Anonymous {
		c.AccountKey = EmulatorKey
	}
	c.Endpoint = strings.TrimSuffix(u.String(), "/")
	return nil
}

// inPath says whether a host serves many accounts: one that is an address, or
// this machine, has no name for each.
func inPath(host string) bool {
	return net.ParseIP(host) != nil || host == "localhost" || !strings.Contains(host, ".")
}

// Names of accounts and containers, from "Naming and referencing containers,
// blobs, and metadata" in the REST API reference.
var (
	accountName   = regexp.MustCompile(`^[a-z0-9]{3,24}$`)
	containerName = regexp.MustCompile(`^[a-z0-9](-?[a-z0-9]){2,62}$`)
)

func (c Config) validate() error {
	switch {
	case c.Container == "":
		return errors.New("the container has no name")
	case !containerName.MatchString(c.Container) && c.Container != "$root" && c.Container != "$web":
		return fmt.Errorf("%q is not the name of a container: 3 to 63 lower-case letters, digits and single dashes", c.Container)
	case c.Anonymous && (c.AccountKey != "" || c.SAS != ""):
		return errors.New("anonymous access excludes credentials")
	case !accountName.MatchString(c.Account) && !inPath(c.host()) && c.azure():
		return fmt.Errorf("%q is not the name of a storage account: 3 to 24 lower-case letters and digits", c.Account)
	}
	if c.AccountKey != "" {
		if _, err := base64.StdEncoding.DecodeString(c.AccountKey); err != nil {
			return errors.New("the account key is not base64: copy it whole from the portal, or from az storage account keys list")
		}
	}
	if c.SAS != "" {
		if q, err := url.ParseQuery(c.SAS); err != nil || q.Get("sig") == "" {
			return errors.New("the shared access signature must look like sv=...&sp=...&sig=...")
		}
	}
	return wire.CheckEndpoint(c.Endpoint, "https://account.blob.core.windows.net or http://host:port/account", "account-key, sas or the environment")
}

func (c Config) host() string {
	u, err := url.Parse(c.Endpoint)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// azure says whether the endpoint is Microsoft's, whose ways are known: the
// public cloud, and those of China, of the US government and of old Germany.
func (c Config) azure() bool {
	host := c.host()
	for _, suffix := range []string{".windows.net", ".chinacloudapi.cn", ".usgovcloudapi.net", ".cloudapi.de"} {
		if strings.HasSuffix(host, ".core"+suffix) || strings.HasSuffix(host, ".storage.azure.net") {
			return true
		}
	}
	return false
}

func (c Config) network() wire.Network {
	return wire.Network{CABundle: c.CABundle, ConnectTimeout: c.ConnectTimeout, RequestTimeout: c.RequestTimeout, Limits: c.Limits}
}

func environment(name string) string { return os.Getenv(name) }
