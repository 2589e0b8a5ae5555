package open

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pailfs/pailfs/integration/servers"
	"github.com/pailfs/pailfs/objstore/gcsstore"
)

func TestParseGCS(t *testing.T) {
	const private = ".pailfs/gcs/"
	for url, want := range map[string]source{
		"gs://b":       {scheme: "gs", gcs: gcsstore.Config{Bucket: "b", Private: private}},
		"gcs://b/a/b/": {scheme: "gcs", gcs: gcsstore.Config{Bucket: "b", Private: "a/b/" + private}, prefix: "a/b/"},
		"gs://b/p?endpoint=http://127.0.0.1:4443/storage/v1&credentials=/path/key.json": {scheme: "gs", prefix: "p/",
			gcs: gcsstore.Config{Bucket: "b", Endpoint: "http://127.0.0.1:4443/storage/v1", CredentialsFile: "/path/key.json", Private: "p/" + private}},
		"gs://b?impersonate=a@p.iam.gserviceaccount.com&user-project=p&one-stream=true&ca-file=/ca.pem": {scheme: "gs",
			gcs: gcsstore.Config{Bucket: "b", ImpersonateServiceAccount: "a@p.iam.gserviceaccount.com", UserProject: "p", OneStream: true, CABundle: "/ca.pem", Private: private}},
		"gs://b?credentials=%7B%22type%22:%22x%22%7D": {scheme: "gs", gcs: gcsstore.Config{Bucket: "b", CredentialsJSON: []byte(`{"type":"x"}`), Private: private}},
		"gs://b?anonymous=true":                       {scheme: "gs", gcs: gcsstore.Config{Bucket: "b", Anonymous: true, Private: private}},
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
		"gs://":                         "write gs://bucket",
		"gs://127.0.0.1:4443/b":         "?endpoint=",
		"gs://b?anonymous=maybe":        "true or false",
		"gs://b?region=x":               `unknown parameter "region": gs:// takes endpoint, credentials`,
		"gs://b?endpoint=http://u:S@h/": "user name or password",
		"gs://b/a/../c":                 "leave it out",
	} {
		if _, err := parse(url); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
	}
}

func TestOpenGCS(t *testing.T) {
	ep := servers.GCS(t)
	for _, kv := range ep.Env() {
		k, v, _ := strings.Cut(kv, "=")
		t.Setenv(k, v)
	}
	for _, scheme := range []string{"gs", "gcs"} {
		for _, more := range []string{"", "&anonymous=true", "&one-stream=true"} {
			bucket := servers.GCSBucket(t, ep)
			roundTrip(t, scheme+"://"+bucket+"/some/prefix?endpoint="+url.QueryEscape(ep.API())+more)
			names, err := servers.GCSObjects(t.Context(), ep, bucket)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(names, []string{"some/prefix/k"}) {
				t.Errorf("the bucket holds %q", names)
			}
		}
	}
}
