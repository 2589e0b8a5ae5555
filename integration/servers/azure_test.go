package servers

import (
	"bytes"
	"net"
	"net/url"
	"slices"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
)

func TestAzureEndsWithItsLastUser(t *testing.T) {
	var ep AzureEndpoint
	t.Run("users", func(t *testing.T) {
		ep = Azure(t)
		if second := Azure(t); ep != second {
			t.Fatalf("two servers: %v and %v", ep.URL, second.URL)
		}
		name := AzureContainer(t, ep)
		client, err := ep.Client()
		if err != nil {
			t.Fatal(err)
		}
		body := streaming.NopCloser(bytes.NewReader([]byte("x")))
		if _, err := client.NewContainerClient(name).NewBlockBlobClient("d/committed").Upload(t.Context(), body, nil); err != nil {
			t.Fatal(err)
		}
		body = streaming.NopCloser(bytes.NewReader([]byte("x")))
		if _, err := client.NewContainerClient(name).NewBlockBlobClient("waiting").StageBlock(t.Context(), "MDAwMDAwMDE=", body, nil); err != nil {
			t.Fatal(err)
		}
		if names, err := AzureBlobs(t.Context(), ep, name); err != nil || !slices.Equal(names, []string{"d/committed", "waiting?"}) {
			t.Errorf("%q, %v", names, err)
		}
	})
	u, err := url.Parse(ep.URL)
	if err != nil {
		t.Fatal(err)
	}
	if conn, err := net.Dial("tcp", u.Host); err == nil {
		conn.Close()
		t.Errorf("%s still listens", u.Host)
	}
}
