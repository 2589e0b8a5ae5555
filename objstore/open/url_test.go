package open

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pailfs/pailfs/objstore/s3store"
)

func TestParse(t *testing.T) {
	on, off := true, false
	for url, want := range map[string]source{
		"file:///dir/a%20b":    {scheme: "file", dir: "/dir/a b"},
		"file://localhost/dir": {scheme: "file", dir: "/dir"},
		"s3://b":               {scheme: "s3", s3: s3store.Config{Bucket: "b"}},
		"s3://b/":              {scheme: "s3", s3: s3store.Config{Bucket: "b"}},
		"s3://b/a/b":           {scheme: "s3", s3: s3store.Config{Bucket: "b"}, prefix: "a/b/"},
		"s3://b/a%25/":         {scheme: "s3", s3: s3store.Config{Bucket: "b"}, prefix: "a%/"},
		"s3://b.with.dots?region=eu-west-1&profile=p&path-style=false": {
			scheme: "s3", s3: s3store.Config{Bucket: "b.with.dots", Region: "eu-west-1", Profile: "p", PathStyle: &off}},
		"s3://b?endpoint=http://127.0.0.1:9/&path-style=true&ca-file=/ca.pem": {
			scheme: "s3", s3: s3store.Config{Bucket: "b", Endpoint: "http://127.0.0.1:9", PathStyle: &on, CABundle: "/ca.pem"}},
		"s3://b?endpoint=ceph.example":       {scheme: "s3", s3: s3store.Config{Bucket: "b", Endpoint: "https://ceph.example"}},
		"minio://b/p":                        {scheme: "minio", s3: s3store.Config{Bucket: "b", Endpoint: minioEndpoint, Region: "us-east-1"}, prefix: "p/"},
		"minio://b?endpoint=https%3A%2F%2Fm": {scheme: "minio", s3: s3store.Config{Bucket: "b", Endpoint: "https://m", Region: "us-east-1"}},
		"b2://b?region=us-west-004": {
			scheme: "b2", s3: s3store.Config{Bucket: "b", Endpoint: "https://s3.us-west-004.backblazeb2.com", Region: "us-west-004"}},
		"b2://b?endpoint=https://s3.eu-central-003.backblazeb2.com": {
			scheme: "b2", s3: s3store.Config{Bucket: "b", Endpoint: "https://s3.eu-central-003.backblazeb2.com", Region: "eu-central-003"}},
		"wasabi://b/p?region=eu-central-1": {
			scheme: "wasabi", s3: s3store.Config{Bucket: "b", Endpoint: "https://s3.eu-central-1.wasabisys.com", Region: "eu-central-1"}, prefix: "p/"},
		"spaces://b?region=nyc3": {
			scheme: "spaces", s3: s3store.Config{Bucket: "b", Endpoint: "https://nyc3.digitaloceanspaces.com", Region: "nyc3"}},
		"spaces://b?endpoint=fra1.digitaloceanspaces.com": {
			scheme: "spaces", s3: s3store.Config{Bucket: "b", Endpoint: "https://fra1.digitaloceanspaces.com", Region: "fra1"}},
		"r2://b?account=0123456789abcdef": {
			scheme: "r2", s3: s3store.Config{Bucket: "b", Endpoint: "https://0123456789abcdef.r2.cloudflarestorage.com", Region: "auto"}},
		"r2://b?account=0123456789abcdef&jurisdiction=eu": {
			scheme: "r2", s3: s3store.Config{Bucket: "b", Endpoint: "https://0123456789abcdef.eu.r2.cloudflarestorage.com", Region: "auto"}},
		"r2://b?endpoint=http://127.0.0.1:9": {scheme: "r2", s3: s3store.Config{Bucket: "b", Endpoint: "http://127.0.0.1:9", Region: "auto"}},
		"s3://b?access-key-id=A&secret-access-key=S%2Fx&session-token=T": {
			scheme: "s3", s3: s3store.Config{Bucket: "b", AccessKey: "A", SecretKey: "S/x", SessionToken: "T"}},
		"s3://b?anonymous=true": {scheme: "s3", s3: s3store.Config{Bucket: "b", Anonymous: true}},
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
}

func TestParseRefuses(t *testing.T) {
	for url, want := range map[string]string{
		"":                                   "write file:///dir, s3://bucket",
		"/dir":                               "write file:///dir, s3://bucket",
		"s3:bucket":                          "two slashes",
		"ftp://b":                            "ftp:// is not supported: use file:///dir",
		"s3://":                              "write s3://bucket",
		"s3:///prefix":                       "write s3://bucket",
		"minio://127.0.0.1:9000/b":           "?endpoint=",
		"s3://KEY:SECRET@b":                  "environment or profile",
		"s3://b?endpoint=http://u:SECRET@h":  "environment or profile",
		"s3://b?endpoint=http://h/?x=SECRET": "nothing behind",
		"s3://b?endpoint=ftp://h":            "https://host",
		"s3://b?secret=SECRET":               `unknown parameter "secret": s3:// takes endpoint, region`,
		"s3://b?region=a&region=b":           "given 2 times",
		"s3://b?region=%zz":                  "%25",
		"s3://b?path-style=maybe":            "true or false",
		"s3://b/a//b":                        "leave it out",
		"s3://b/../c":                        "leave it out",
		"s3://b/a#b":                         "%23",
		"b2://b":                             "?region=us-west-004",
		"b2://b?region=evil.example/":        "us-west-004",
		"wasabi://b":                         "?region=eu-central-1",
		"spaces://b":                         "?region=nyc3",
		"spaces://b?region=a.b":              "looks like nyc3",
		"r2://b":                             "?account=",
		"r2://b?account=evil.example/":       "hexadecimal",
		"r2://b?account=a&jurisdiction=x/":   "looks like eu",
		"wasabi://b?account=a":               "unknown parameter",
		"s3://b?anonymous=maybe":             "true or false",
		"file://dir/x":                       "file:/// and an absolute path",
		"file://":                            "write file:///dir",
		"file:///dir?region=x":               `takes no parameter "region"`,
		"s3://b%zz":                          "write file:///dir",
	} {
		_, err := parse(url)
		switch {
		case err == nil:
			t.Errorf("%s: no error", url)
		case !strings.Contains(err.Error(), want):
			t.Errorf("%s: %v, want %q", url, err, want)
		case strings.Contains(err.Error(), "SECRET"), strings.Contains(err.Error(), "\n"):
			t.Errorf("%s: %q", url, err)
		}
	}
}
