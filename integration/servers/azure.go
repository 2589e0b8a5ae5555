package servers

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"
)

var azurite = npmProgram{"azurite", "3.35.0", "dist/src/blob/main.js"}

// Azurite is the script of the server, for node.
func Azurite() (string, error) { return azurite.install() }

// AzureEndpoint says how to reach a Blob Storage server: Azurite, with the one
// account that every Azurite has.
type AzureEndpoint struct {
	URL     string // http://127.0.0.1:PORT/ACCOUNT
	Account string
	Key     string
}

// Host is the endpoint without the account, as people write it.
func (e AzureEndpoint) Host() string { return strings.TrimSuffix(e.URL, "/"+e.Account) }

// Env is the environment in which a program, pailfs included, finds no
// credentials of the user or the machine: those of Azurite it knows.
func (e AzureEndpoint) Env() []string {
	return []string{
		"AZURE_STORAGE_ACCOUNT=", "AZURE_STORAGE_KEY=", "AZURE_STORAGE_SAS_TOKEN=", "AZURE_STORAGE_CONNECTION_STRING=", "AZURE_STORAGE_SERVICE_ENDPOINT=",
		"AZURE_CLIENT_ID=", "AZURE_TENANT_ID=", "AZURE_CLIENT_SECRET=", "AZURE_CONFIG_DIR=" + os.DevNull,
	}
}

// Client is an SDK client of the server, for tests that look at what pailfs
// wrote without pailfs.
func (e AzureEndpoint) Client() (*service.Client, error) {
	key, err := service.NewSharedKeyCredential(e.Account, e.Key)
	if err != nil {
		return nil, err
	}
	return service.NewClientWithSharedKeyCredential(e.URL, key, nil)
}

var sharedAzure = shared[AzureEndpoint]{name: "Blob Storage", start: startAzure}

// Azure returns the Blob Storage server that the tests of this process share.
func Azure(t testing.TB) AzureEndpoint { return sharedAzure.hold(t) }

// StartAzure starts a Blob Storage server of the caller's own, for programs that
// are no test.
func StartAzure() (AzureEndpoint, Own, error) {
	ep, p, stop, err := startAzure()
	return ep, own(p, stop), err
}

func startAzure() (ep AzureEndpoint, p *process, stop func(), err error) {
	main, err := azurite.install()
	if err != nil {
		return ep, nil, nil, err
	}
	dir, lock, err := dataDir("azure")
	if err != nil {
		return ep, nil, nil, err
	}
	remove := func() {
		os.RemoveAll(dir)
		lock.Close()
	}
	// learn.microsoft.com/azure/storage/common/storage-use-azurite
	ep.Account = "devstoreaccount1"
	ep.Key = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
	for range 5 { // somebody may take the free port before the server does
		ep.URL, p, err = startAzurite(main, dir)
		if err == nil {
			break
		}
	}
	if err != nil {
		remove()
		return ep, nil, nil, err
	}
	ep.URL += "/" + ep.Account
	return ep, p, func() {
		p.stop()
		remove()
	}, nil
}

func startAzurite(main, dir string) (string, *process, error) {
	addr, err := freePort()
	if err != nil {
		return "", nil, err
	}
	host, port, _ := net.SplitHostPort(addr)
	// The SDK speaks a newer version of the protocol than Azurite knows, with
	// headers and parameters that it does not know either.
	cmd := exec.Command("node", main, "--blobHost", host, "--blobPort", port, "--location", dir,
		"--skipApiVersionCheck", "--loose", "--silent", "--disableTelemetry")
	p, err := startProcess(cmd, filepath.Join(dir, "output"))
	if err != nil {
		return "", nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	if err := p.waitOutput(ctx, "successfully listen"); err != nil {
		p.stop()
		return "", nil, err
	}
	return "http://" + addr, p, nil
}

// AzureContainer makes an empty container for one test and removes it, with all
// that is in it, when the test ends.
func AzureContainer(t testing.TB, ep AzureEndpoint) string {
	t.Helper()
	name := strings.ToLower("test-" + rand.Text())
	if err := MakeAzureContainer(t.Context(), ep, name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
		defer cancel()
		client, err := ep.Client()
		if err == nil {
			_, err = client.DeleteContainer(ctx, name, nil)
		}
		if err != nil {
			t.Errorf("remove container %q: %v", name, err)
		}
	})
	return name
}

// MakeAzureContainer makes a container.
func MakeAzureContainer(ctx context.Context, ep AzureEndpoint, name string) error {
	client, err := ep.Client()
	if err == nil {
		_, err = client.CreateContainer(ctx, name, nil)
	}
	if err != nil {
		return fmt.Errorf("make container %q: %w", name, err)
	}
	return nil
}

// AzureBlobs lists the names of all blobs of a container, also those of which
// there are only blocks that wait to be committed: these end in "?".
func AzureBlobs(ctx context.Context, ep AzureEndpoint, name string) ([]string, error) {
	client, err := ep.Client()
	if err != nil {
		return nil, err
	}
	var names []string
	pages := client.NewContainerClient(name).NewListBlobsFlatPager(&azblob.ListBlobsFlatOptions{
		Include: azblob.ListBlobsInclude{UncommittedBlobs: true}})
	for pages.More() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, b := range page.Segment.BlobItems {
			name := *b.Name
			if b.Properties.ContentType == nil { // no commit has given it one
				name += "?"
			}
			names = append(names, name)
		}
	}
	return names, nil
}
