package open

import (
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pailfs/pailfs/integration/servers"
	"github.com/pailfs/pailfs/objstore"
)

// TestCreate makes what is missing, once, and only if it is wanted.
func TestCreate(t *testing.T) {
	ep, gcs := servers.S3(t), servers.GCS(t)
	ep.Setenv(t)
	t.Setenv("GOOGLE_CLOUD_PROJECT", "")
	name := strings.ReplaceAll(servers.Bucket(t, ep), "test-", "made-")
	dir := filepath.Join(t.TempDir(), "a", "b")
	for _, source := range []string{
		"file://" + dir,
		"s3://" + name + "/p?region=" + ep.Region + "&endpoint=" + url.QueryEscape(ep.URL),
		"gs://" + name + "/p?project=p&endpoint=" + url.QueryEscape(gcs.API()),
	} {
		s, err := Open(t.Context(), source, Options{})
		if err == nil && Check(t.Context(), s) == nil {
			t.Fatalf("%s is there already", source)
		}
		if !errors.Is(err, objstore.ErrNotFound) {
			t.Errorf("%s: %v", source, err)
		}
		for range 2 {
			s, err := Open(t.Context(), source, Options{Create: true})
			if err != nil {
				t.Fatal(err)
			}
			if err := Check(t.Context(), s); err != nil {
				t.Errorf("%s: %v", source, err)
			}
			s.Close()
		}
	}
	if _, err := os.Stat(dir); err != nil {
		t.Error(err)
	}
	_, err := Open(t.Context(), "gs://"+name+"x?endpoint="+url.QueryEscape(gcs.API()), Options{Create: true})
	if err == nil || !strings.Contains(err.Error(), "GOOGLE_CLOUD_PROJECT") {
		t.Errorf("without a project: %v", err)
	}
}
