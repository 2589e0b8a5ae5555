package azstore

import (
	"net/http"
	"testing"

	"github.com/pailfs/pailfs/integration/servers"
	"github.com/pailfs/pailfs/objstore"
)

// What the service says of container and account, with each way to ask.
func TestDescribe(t *testing.T) {
	softDelete := reply(200, map[string]string{"Content-Type": "application/xml"},
		`<?xml version="1.0"?><StorageServiceProperties><DeleteRetentionPolicy><Enabled>true</Enabled><Days>7</Days></DeleteRetentionPolicy></StorageServiceProperties>`)
	none := func() *http.Response {
		return reply(200, map[string]string{"Content-Type": "application/xml"}, `<?xml version="1.0"?><StorageServiceProperties></StorageServiceProperties>`)
	}
	refused := func() *http.Response { return refusal(403, "AuthorizationResourceTypeMismatch", "no") }
	signature := func(c *Config) { c.AccountKey, c.SAS = "", "sv=1&sig=S" }
	for name, c := range map[string]struct {
		container map[string]string
		account   func() *http.Response
		change    func(*Config)
		want      objstore.Settings
	}{
		"nothing":     {nil, none, func(*Config) {}, objstore.Settings{Versioning: "", ObjectLock: "off", AbortRule: "on"}},
		"soft delete": {nil, func() *http.Response { return softDelete }, func(*Config) {}, objstore.Settings{Versioning: "on", ObjectLock: "off", AbortRule: "on"}},
		"policy":      {map[string]string{"x-ms-has-immutability-policy": "true"}, refused, signature, objstore.Settings{ObjectLock: "on", AbortRule: "on"}},
		"legal hold":  {map[string]string{"x-ms-has-legal-hold": "true"}, none, signature, objstore.Settings{ObjectLock: "on", AbortRule: "on"}},
		"immutable versions": {map[string]string{"x-ms-immutable-storage-with-versioning-enabled": "true"}, refused, func(*Config) {},
			objstore.Settings{Versioning: "on", ObjectLock: "on", AbortRule: "on"}},
	} {
		t.Run(name, func(t *testing.T) {
			s, sc := played(t, func(r request) *http.Response {
				if r.query.Get("restype") == "service" {
					return c.account()
				}
				return reply(200, c.container, "")
			}, c.change)
			got, err := s.Describe(t.Context())
			if err != nil || got != c.want {
				t.Errorf("%+v, %v, want %+v", got, err, c.want)
			}
			for _, r := range sc.requests {
				if (r.query.Get("sig") == "S") != (s.signature != nil) {
					t.Errorf("%s is signed wrongly: %v", r.name(), r.query)
				}
			}
		})
	}
	ep := servers.Azure(t)
	s, err := newStore(Config{Container: servers.AzureContainer(t, ep), Endpoint: ep.URL, AccountKey: ep.Key})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got, err := s.Describe(t.Context()); err != nil || got.ObjectLock != "off" || got.AbortRule != "on" {
		t.Errorf("at the emulator: %+v, %v", got, err)
	}
}
