package open

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pailfs/pailfs/integration/servers"
	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/azstore"
)

func TestParseAzure(t *testing.T) {
	for url, want := range map[string]source{
		"azure://c":  {scheme: "azure", azure: azstore.Config{Container: "c"}},
		"azblob://c": {scheme: "azblob", azure: azstore.Config{Container: "c"}},
		"az://c/p":   {scheme: "az", azure: azstore.Config{Container: "c"}, prefix: "p/"},
		"azure://c/a/b/?account=acc&key=S%2BCRET%3D": {scheme: "azure", prefix: "a/b/",
			azure: azstore.Config{Container: "c", Account: "acc", AccountKey: "S+CRET="}},
		"azure://c?account=acc&account-key=SECRET":  {scheme: "azure", azure: azstore.Config{Container: "c", Account: "acc", AccountKey: "SECRET"}},
		"azure://c?endpoint=http://127.0.0.1:10000": {scheme: "azure", azure: azstore.Config{Container: "c", Endpoint: "http://127.0.0.1:10000"}},
		"azure://c?account=acc&sas=sv%3D1%26sig%3DSECRET&ca-file=/ca.pem": {scheme: "azure",
			azure: azstore.Config{Container: "c", Account: "acc", SAS: "sv=1&sig=SECRET", CABundle: "/ca.pem"}},
		"azure://c?connection-string=AccountName%3Dacc%3BAccountKey%3DSECRET": {scheme: "azure",
			azure: azstore.Config{Container: "c", ConnectionString: "AccountName=acc;AccountKey=SECRET"}},
		"azure://c?account=acc&anonymous=true": {scheme: "azure", azure: azstore.Config{Container: "c", Account: "acc", Anonymous: true}},
	} {
		got, err := parse(url)
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		if d := cmp.Diff(want, got, cmp.AllowUnexported(source{})); d != "" {
			t.Errorf("%s: (-want +got)\n%s", url, d)
		}
	}
	for url, want := range map[string]string{
		"azure://":                                   "write azure://container",
		"azure://127.0.0.1:10000/c":                  "?endpoint=",
		"azure://c?anonymous=maybe":                  "true or false",
		"azure://c?region=x":                         `unknown parameter "region": azure:// takes account, endpoint`,
		"azure://c?endpoint=http://u:SECRET@h/":      "user name or password",
		"azure://c/a/../c?account=acc&key=SECRET":    "leave it out",
		"azure://c?account=acc&key=SECRET&key=OTHER": "given 2 times",
	} {
		_, err := parse(url)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
	}
}

func TestOpenAzure(t *testing.T) {
	ep := servers.Azure(t)
	for _, kv := range ep.Env() {
		k, v, _ := strings.Cut(kv, "=")
		t.Setenv(k, v)
	}
	connection := url.QueryEscape("AccountName=" + ep.Account + ";AccountKey=" + ep.Key + ";BlobEndpoint=" + ep.URL)
	for name, query := range map[string]string{
		"azure":  "endpoint=" + url.QueryEscape(ep.Host()), // the well-known account
		"azblob": "endpoint=" + url.QueryEscape(ep.URL) + "&key=" + url.QueryEscape(ep.Key),
		"az":     "connection-string=" + connection,
	} {
		container := servers.AzureContainer(t, ep)
		roundTrip(t, name+"://"+container+"/some/prefix?"+query)
		names, err := servers.AzureBlobs(t.Context(), ep, container)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(names, []string{"some/prefix/k"}) {
			t.Errorf("%s: the container holds %q", name, names)
		}
	}
}

func TestOpenAzureMakesTheContainer(t *testing.T) {
	ep := servers.Azure(t)
	name := servers.AzureContainer(t, ep)
	client, err := ep.Client()
	if err != nil {
		t.Fatal(err)
	}
	source := "azure://" + name + "-more?endpoint=" + url.QueryEscape(ep.Host())
	if _, err := Open(t.Context(), source, Options{}); err != nil {
		t.Fatal(err) // a mount asks first, Open does not
	}
	s, err := Open(t.Context(), source, Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	defer client.DeleteContainer(t.Context(), name+"-more", nil)
	if _, err := s.List(t.Context(), objstore.ListRequest{}); err != nil {
		t.Error(err)
	}
}
