package open

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// A preset is a provider whose endpoint follows from the region of a bucket.
type preset struct {
	scheme       string
	before, host string // the host name is before + region + host
	example      string // of a region
	where        string // to find the region
}

var presets = map[string]preset{
	// "https://s3.<region>.backblazeb2.com": B2 documentation, "Call the S3-Compatible API".
	"b2": {"b2", "s3.", ".backblazeb2.com", "us-west-004", "the bucket's endpoint in the B2 console"},
	// "s3.<region>.wasabisys.com": Wasabi documentation, "Service URLs for Wasabi's Storage Regions".
	"wasabi": {"wasabi", "s3.", ".wasabisys.com", "eu-central-1", "the bucket's region in the Wasabi console"},
	// "${REGION}.digitaloceanspaces.com": docs.digitalocean.com/reference/api/spaces.
	"spaces": {"spaces", "", ".digitaloceanspaces.com", "nyc3", "the bucket's origin endpoint in the control panel"},
}

// preset makes the endpoint of a region, or the region of an endpoint.
func (src *source) preset(p preset) error {
	c := &src.s3
	if c.Endpoint == "" {
		if c.Region == "" {
			return fmt.Errorf("%s:// needs the region of the bucket, as in %s://bucket?region=%s: see %s", p.scheme, p.scheme, p.example, p.where)
		}
		if !label(c.Region) {
			return fmt.Errorf("the region looks like %s", p.example)
		}
		c.Endpoint = "https://" + p.before + c.Region + p.host
	}
	if c.Region == "" {
		u, err := url.Parse(c.Endpoint)
		if err == nil && strings.HasPrefix(u.Hostname(), p.before) && strings.HasSuffix(u.Hostname(), p.host) {
			c.Region = strings.TrimSuffix(strings.TrimPrefix(u.Hostname(), p.before), p.host)
		}
	}
	return nil
}

var r2Params = []string{"account", "jurisdiction"}

// presetR2 makes the endpoint of an account. See Cloudflare's documentation:
// "S3 API compatibility" for https://<ACCOUNT_ID>.r2.cloudflarestorage.com and
// the region "auto", "Data location" for jurisdictions, whose endpoint is
// https://<ACCOUNT_ID>.<JURISDICTION>.r2.cloudflarestorage.com.
func (src *source) presetR2(account, jurisdiction string) error {
	c := &src.s3
	if c.Region == "" {
		c.Region = "auto"
	}
	switch {
	case c.Endpoint != "":
		return nil
	case account == "":
		return errors.New("r2:// needs the account ID, as in r2://bucket?account=0123456789abcdef0123456789abcdef: see the R2 page of the Cloudflare dashboard")
	case !label(account):
		return errors.New("the account ID is 32 hexadecimal digits")
	case !label(jurisdiction):
		return errors.New("the jurisdiction looks like eu")
	}
	if jurisdiction != "" {
		account += "." + jurisdiction
	}
	c.Endpoint = "https://" + account + ".r2.cloudflarestorage.com"
	return nil
}

// label says whether s can stand for one name in a host name; "" can.
func label(s string) bool {
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}
