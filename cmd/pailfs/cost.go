package main

import (
	"cmp"
	"net/url"
	"os"
	"strings"

	"github.com/pailfs/pailfs/cmd/pailfs/internal/control"
	"github.com/pailfs/pailfs/mountopts"
	"github.com/pailfs/pailfs/objstore/countstore"
)

// prices are what requests cost, in USD for each 10,000 calls of a sort; those that
// are not named are free, or no request of their own.
type prices struct {
	basis string
	host  string // the provider's own servers end so; another endpoint bills its own prices
	calls map[string]float64
}

// The prices of other regions, storage classes and contracts differ, and so do those
// of what a provider does for a call besides: this is to tell cents from dollars.
var (
	// "Amazon S3 pricing", Requests & data retrievals, S3 Standard in US East (N.
	// Virginia), 2025: 0.005 USD for 1,000 PUT, COPY, POST or LIST requests, 0.0004 for
	// 1,000 GET and all others (HEAD); DELETE and CANCEL are free.
	amazonPrices = prices{"the list prices of S3 Standard in us-east-1 of 2025", ".amazonaws.com", priced(.05, .004,
		countstore.NewUpload, countstore.PutPart, countstore.CopyPart, countstore.Commit)}

	// "Cloud Storage pricing", Data processing, Standard storage in a region, 2025: 0.005
	// USD for 1,000 operations of class A (insert, compose, rewrite, list), 0.0004 for 1,000
	// of class B (get); delete is free. An upload begins and copies parts without one.
	googlePrices = prices{"the list prices of Standard storage in a region of 2025", ".googleapis.com", priced(.05, .004,
		countstore.PutPart, countstore.Commit, countstore.Rename)}

	// "Estimate the cost of using Azure Blob Storage" (learn.microsoft.com, 2024-07-26),
	// Sample prices, hot tier: 0.055 USD for 10,000 write, list and container operations,
	// 0.0044 for 10,000 read and other ones; deleting is free ("Map each REST operation to a
	// price"). Microsoft calls them examples: its list prices hang on region and redundancy.
	azurePrices = prices{"the sample prices of Microsoft for the hot tier of 2024", ".core.windows.net", priced(.055, .0044,
		countstore.PutPart, countstore.CopyPart, countstore.Commit)}
)

// priced makes the table of a provider. To write, list and read are requests
// everywhere; also names what else costs as much as writing.
func priced(write, read float64, also ...string) map[string]float64 {
	calls := map[string]float64{
		countstore.Put: write, countstore.Copy: write, countstore.List: write, countstore.Clean: write,
		countstore.Stat: read, countstore.Get: read,
	}
	for _, call := range also {
		calls[call] = write
	}
	return calls
}

// pricesOf are the prices of the provider that a mount is of, nil where they are
// not known.
func pricesOf(o *mountopts.Options) *prices {
	u, err := url.Parse(o.URL())
	if err != nil {
		return nil
	}
	p, endpoint := &amazonPrices, cmp.Or(u.Query().Get("endpoint"), os.Getenv("AWS_ENDPOINT_URL_S3"), os.Getenv("AWS_ENDPOINT_URL"))
	switch u.Scheme {
	case "s3":
	case "gs", "gcs":
		p, endpoint = &googlePrices, cmp.Or(u.Query().Get("endpoint"), os.Getenv("STORAGE_EMULATOR_HOST"))
	case "azure", "azblob", "az":
		p, endpoint = &azurePrices, u.Query().Get("endpoint")
		if s := cmp.Or(u.Query().Get("connection-string"), os.Getenv("AZURE_STORAGE_CONNECTION_STRING")); s != "" && !strings.Contains(s, "core.windows.net") {
			return nil
		}
	default:
		return nil
	}
	if endpoint == "" {
		return p
	}
	if e, err := url.Parse(endpoint); err != nil || !strings.HasSuffix(e.Hostname(), p.host) {
		return nil
	}
	return p
}

// cost is what the calls so far may have cost. Those that the provider's library
// made again are not among them.
func (p *prices) cost(calls map[string]countstore.Count) *control.Cost {
	if p == nil {
		return nil
	}
	c := &control.Cost{Basis: p.basis}
	for call, n := range calls {
		c.USD += float64(n.Calls) * p.calls[call] / 10_000
	}
	return c
}
