package integration

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"
	"github.com/pailfs/pailfs/integration/servers"
)

// A stage is what the commands of a page find when a test runs them: servers in
// place of the provider, and what people have of their own.
type stage struct {
	env     []string // of the commands
	replace []string // pairs, in the text of the page
	home    string   // where the session runs
}

// stages make the stage of each page that has commands.
var stages = map[string]func(t *testing.T) stage{
	"azure.md":     azureStage,
	"gcs.md":       gcsStage,
	"directory.md": directoryStage,
	"s3.md":        s3Stage,

	"backups.md":    backupsStage,
	"monitoring.md": serverStage,
	"server.md":     serverStage,
}

// TestPages runs every command of the pages about providers and operations. What
// cannot be run here, for want of a token service, is no command there: the text
// names the test that shows it.
func TestPages(t *testing.T) {
	files, err := filepath.Glob("../docs/[op]*s/*.md")
	check(t, err)
	if len(files) == 0 {
		t.Fatal("no pages")
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			make, ok := stages[filepath.Base(file)]
			if !ok {
				t.Fatal("the page has no stage: give it one in pages_test.go")
			}
			slots <- struct{}{}
			defer func() { <-slots }()
			text, err := os.ReadFile(file)
			check(t, err)
			if strings.Contains(string(text), "\n```\npailfs ") || len(steps(string(text))) == 0 {
				t.Error("a block of commands is no session: begin it with ```console, and each command with $")
			}
			runSession(t, filepath.Base(file), make(t), string(text))
		})
	}
}

// azureStage has the containers of the page at an emulator that stands for
// Azure, and its key in the place of the reader's.
func azureStage(t *testing.T) stage {
	const (
		key       = "ZXhhbXBsZSBhY2NvdW50IGtleSwgNjQgYnl0ZXMgaW4gYmFzZTY0LCBhcyBBenVyZSBtYWtlcyB0aGVtIQ=="
		signature = "sv=2026-02-06&sr=c&sp=racwdl&se=2030-01-01T00:00:00Z&sig=ZXhhbXBsZQ%3D%3D"
	)
	ep := servers.Azure(t)
	s := homeStage(t, "/mnt/backups")
	client, err := ep.Client()
	check(t, err)
	backups, public := servers.AzureContainer(t, ep), servers.AzureContainer(t, ep)
	access := container.PublicAccessTypeContainer
	_, err = client.NewContainerClient(public).SetAccessPolicy(t.Context(), &container.SetAccessPolicyOptions{Access: &access})
	check(t, err)
	credential, err := service.NewSharedKeyCredential(ep.Account, ep.Key)
	check(t, err)
	q, err := sas.BlobSignatureValues{
		ContainerName: backups, Permissions: "racwdl", ExpiryTime: time.Now().Add(time.Hour).UTC(),
	}.SignWithSharedKey(credential)
	check(t, err)
	main, err := servers.Azurite()
	check(t, err)
	own, err := servers.FreePort()
	check(t, err)
	_, port, _ := strings.Cut(own, ":")
	s.env = append(ep.Env(), "AZURE_STORAGE_SERVICE_ENDPOINT="+ep.Host())
	s.replace = append(s.replace,
		"EndpointSuffix=core.windows.net", "BlobEndpoint="+ep.URL,
		"mystore", ep.Account, key, ep.Key, url.QueryEscape(key), url.QueryEscape(ep.Key), signature, q.Encode(),
		"azure://backups", "azure://"+backups, "azure://public", "azure://"+public, "azure://new-container", "azure://"+backups+"-new",
		"127.0.0.1:10000", own, "azurite-blob", "node "+main+" --blobPort "+port+" --disableTelemetry")
	return s
}

// gcsStage has the buckets of the page at an emulator that stands for Google,
// and the key of an account that nobody has.
func gcsStage(t *testing.T) stage {
	ep := servers.GCS(t)
	s := homeStage(t, "/mnt/backups")
	program, err := servers.FakeGCS()
	check(t, err)
	own, err := servers.FreePort()
	check(t, err)
	_, port, _ := strings.Cut(own, ":")
	s.env = append(ep.Env(), "STORAGE_EMULATOR_HOST="+ep.API())
	s.replace = append(s.replace,
		"gs://backups", "gs://"+servers.GCSBucket(t, ep), "gs://public-bucket", "gs://"+servers.GCSBucket(t, ep), "gs://locked", "gs://"+servers.GCSBucket(t, ep),
		"/etc/pailfs/key.json", serviceAccountKey(t), "127.0.0.1:4443", own, "-port 4443", "-port "+port, "fake-gcs-server ", program+" ")
	return s
}

// serviceAccountKey is a file with the key of an account that nobody has.
func serviceAccountKey(t *testing.T) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	check(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	check(t, err)
	text, err := json.Marshal(map[string]string{
		"type": "service_account", "project_id": "p", "private_key_id": "1", "client_email": "a@p.iam.gserviceaccount.com",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		"token_uri":   "http://127.0.0.1:1/token",
	})
	check(t, err)
	file := filepath.Join(tempDir(t), "key.json")
	check(t, os.WriteFile(file, text, 0o600))
	return file
}

// serverStage has the bucket of the page at a server that stands for Amazon S3.
func serverStage(t *testing.T) stage {
	ep := servers.S3(t)
	s := homeStage(t, "/mnt/backups", "/etc/pailfs")
	port, err := servers.FreePort()
	check(t, err)
	s.env = append(ep.Env(), "AWS_ENDPOINT_URL="+ep.URL)
	s.replace = append(s.replace, "s3://backups", "s3://"+servers.Bucket(t, ep), "127.0.0.1:9105", port)
	return s
}

// backupsStage also has the databases, and files to save.
func backupsStage(t *testing.T) stage {
	s := serverStage(t)
	for name, text := range map[string]string{
		"srv/www/index.html": "hello", "srv/www/img/logo": "a picture", "restic.key": "secret", "restore": "",
		".my.cnf": "[client]\nuser=root\nsocket=" + variable(mariadbEnv(t), "SOCKET") + "\n",
	} {
		file := filepath.Join(s.home, name)
		check(t, os.MkdirAll(filepath.Dir(file), 0o755))
		if text == "" {
			check(t, os.Mkdir(file, 0o755))
			continue
		}
		check(t, os.WriteFile(file, []byte(text), 0o600))
	}
	pg := postgresEnv(t)
	s.env = append(s.env, "PGHOST="+variable(pg, "PGHOST"), "PGUSER="+variable(pg, "PGUSER"))
	s.replace = append(s.replace, "/srv/www", filepath.Join(s.home, "srv/www"), "-C /srv ", "-C "+filepath.Join(s.home, "srv")+" ",
		"/restore", filepath.Join(s.home, "restore"), "restored", "restored_page")
	t.Cleanup(func() {
		e := environ(s.home, append(slices.Clone(s.env), "HOME="+s.home)...)
		shell{s.home, e}.run(t, "dropdb --if-exists restored_page; mariadb -e 'drop database if exists restored_page'")
	})
	return s
}

// variable is the value of a variable in an environment.
func variable(env []string, name string) string {
	for _, v := range env {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}
