package main

import (
	"math"
	"strings"
	"testing"

	"github.com/pailfs/pailfs/cmd/pailfs/internal/control"
	"github.com/pailfs/pailfs/mountopts"
	"github.com/pailfs/pailfs/objstore/countstore"
)

func TestPricesOf(t *testing.T) {
	for _, name := range []string{"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "STORAGE_EMULATOR_HOST", "AZURE_STORAGE_CONNECTION_STRING"} {
		t.Setenv(name, "")
	}
	const own = "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=a2V5;EndpointSuffix=core.windows.net"
	for _, tt := range []struct {
		source, name, value string // and a variable
		want                *prices
	}{
		{source: "s3://b/p", want: &amazonPrices},
		{source: "s3://b?endpoint=https://s3.eu-west-1.amazonaws.com", want: &amazonPrices},
		{source: "s3://b?endpoint=https://amazonaws.com.example"},
		{source: "s3://b", name: "AWS_ENDPOINT_URL", value: "http://127.0.0.1:9000"},
		{source: "minio://b"}, {source: "r2://b?account=x"}, {source: "file:///srv"},
		{source: "gs://b", want: &googlePrices}, {source: "gs://b?endpoint=http://127.0.0.1:1"},
		{source: "gs://b", name: "STORAGE_EMULATOR_HOST", value: "127.0.0.1:1"},
		{source: "azure://c?account=a", want: &azurePrices}, {source: "azure://c?account=a&endpoint=http://127.0.0.1:1"},
		{source: "azure://c", name: "AZURE_STORAGE_CONNECTION_STRING", value: own, want: &azurePrices},
		{source: "azure://c", name: "AZURE_STORAGE_CONNECTION_STRING", value: "UseDevelopmentStorage=true"},
	} {
		t.Run(tt.source+" "+tt.value, func(t *testing.T) {
			if tt.name != "" {
				t.Setenv(tt.name, tt.value)
			}
			o := mountopts.New()
			o.Source = tt.source
			if got := pricesOf(o); got != tt.want {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestCost(t *testing.T) {
	calls := map[string]countstore.Count{
		countstore.Put: {Calls: 1000}, countstore.NewUpload: {Calls: 10}, countstore.PutPart: {Calls: 80}, countstore.Commit: {Calls: 10},
		countstore.Stat: {Calls: 10_000}, countstore.Delete: {Calls: 5000}, countstore.Abort: {Calls: 3},
	}
	for _, tt := range []struct {
		p    *prices
		want float64
	}{
		{&amazonPrices, 1100*.005/1000 + 10*.0004},
		{&googlePrices, 1090*.005/1000 + 10*.0004},
		{&azurePrices, 1090*.055/10_000 + .0044},
	} {
		if c := tt.p.cost(calls); math.Abs(c.USD-tt.want) > 1e-9 || c.Basis != tt.p.basis {
			t.Errorf("%+v, want %g", c, tt.want)
		}
	}
	if c := (*prices)(nil).cost(calls); c != nil {
		t.Errorf("without prices: %+v", c)
	}
}

func TestCostText(t *testing.T) {
	for amount, want := range map[float64]string{0: "0.00", 0.000004: "0.0000040", 0.01309: "0.013", 0.0999: "0.100", 12.346: "12.35"} {
		if got := usd(amount); got != want {
			t.Errorf("%g: %s, want %s", amount, got, want)
		}
	}
	for source, want := range map[string]bool{"minio://b": true, "file:///srv": false} {
		var out strings.Builder
		if err := printStatus(&out, control.Status{Source: source}, nil); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(out.String(), "unknown amount"); got != want {
			t.Errorf("%s: %s", source, out.String())
		}
	}
}
