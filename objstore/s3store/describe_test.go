package s3store

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/pailfs/pailfs/objstore"
)

func TestDescribe(t *testing.T) {
	notFound := func(code string) string { return "<Error><Code>" + code + "</Code></Error>" }
	const ns = ` xmlns="http://s3.amazonaws.com/doc/2006-03-01/"`
	for name, c := range map[string]struct {
		status  int
		answers map[string]string // by query
		want    objstore.Settings
	}{
		"all": {200, map[string]string{
			"versioning":  "<VersioningConfiguration" + ns + "><Status>Enabled</Status></VersioningConfiguration>",
			"object-lock": "<ObjectLockConfiguration" + ns + "><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>",
			"lifecycle": "<LifecycleConfiguration" + ns + "><Rule><ID>a</ID><Status>Enabled</Status><AbortIncompleteMultipartUpload>" +
				"<DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule></LifecycleConfiguration>",
		}, objstore.Settings{Versioning: "on", ObjectLock: "on", AbortRule: "on"}},
		"none": {404, map[string]string{
			"object-lock": notFound("ObjectLockConfigurationNotFoundError"), "lifecycle": notFound("NoSuchLifecycleConfiguration"),
		}, objstore.Settings{Versioning: "off", ObjectLock: "off", AbortRule: "off"}},
		"unknown": {403, map[string]string{
			"versioning": notFound("AccessDenied"), "object-lock": notFound("AccessDenied"), "lifecycle": notFound("AccessDenied"),
		}, objstore.Settings{}},
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for query, answer := range c.answers {
				if r.URL.Query().Has(query) {
					w.WriteHeader(c.status)
					w.Write([]byte(answer))
					return
				}
			}
			w.Write([]byte("<VersioningConfiguration" + ns + "/>"))
		}))
		s, err := newStore(t.Context(), Config{Bucket: "b", Region: "r", Endpoint: srv.URL, AccessKey: "a", SecretKey: "s"})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.Describe(t.Context()); err != nil || got != c.want {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, c.want)
		}
		s.Close()
		srv.Close()
	}
}
