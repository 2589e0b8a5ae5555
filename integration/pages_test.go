package integration

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"
	"github.com/pailfs/pailfs/integration/servers"
)

// A stage is what the commands of a page find when a test runs them: servers in
// place of the provider, and what people have of their own.
type stage struct {
	endpoint string   // of every mount that names none
	env      []string // of the commands
	replace  []string // pairs, in the text of the commands
	home     string   // where a session runs
}

// stages make the stage of each page of docs/providers.
var stages = map[string]func(t *testing.T) stage{
	"azure.md":     azureStage,
	"gcs.md":       gcsStage,
	"directory.md": directoryStage,
	"s3.md":        s3Stage,
}

// TestProviderPages runs every command of the pages about providers. One that
// cannot be run here stands behind a comment that says why, and which test shows
// the matter.
func TestProviderPages(t *testing.T) {
	need(t, "psql", "pg_dump", "curl")
	files, err := filepath.Glob("../docs/providers/*.md")
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
			if strings.Contains(string(text), session) {
				runSession(t, filepath.Base(file), make(t), string(text))
				return
			}
			newPageRun(t, make(t)).all(t, string(text))
		})
	}
}

// block is a fenced block and the comment line before it.
var block = regexp.MustCompile("(?m)(?:^<!-- (not run: .*) -->\n)?^```(\\w*)\n((?s:.*?))^```$")

// reference names the test that a block which is not run refers to.
var reference = regexp.MustCompile(`see (Test\w+) in (\S+)$`)

// pageRun runs the blocks of one page in one directory.
type pageRun struct {
	shell
	replace *strings.Replacer
	mounts  string // in place of /mnt
}

func newPageRun(t *testing.T, s stage) *pageRun {
	t.Helper()
	dir := tempDir(t)
	bin, err := binary()
	check(t, err)
	r := &pageRun{mounts: filepath.Join(dir, "mnt")}
	// The real binary, told where the provider is unless the command knows it.
	wrapper := "#!/bin/bash\n" + `case "$*$AZURE_STORAGE_CONNECTION_STRING" in *endpoint=*|*BlobEndpoint=*) ;; *) export PAILFS_ENDPOINT="` + s.endpoint + `" ;; esac
exec ` + bin + ` "$@" > "$T/said" 2>&1 || { cat "$T/said"; exit 1; }
`
	// A daemon that kept the pipe of the script open would be waited for.
	wrapper = strings.Replace(wrapper, "exec "+bin, bin, 1)
	check(t, os.MkdirAll(filepath.Join(dir, "bin"), 0o755))
	check(t, os.WriteFile(filepath.Join(dir, "bin", "pailfs"), []byte(wrapper), 0o755))
	r.shell = shell{dir: dir, env: append(append(environ(dir), postgresEnv(t)...), s.env...)}
	path := "PATH=" + filepath.Join(dir, "bin") + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	r.env = append(r.env, path, "AZURE_STORAGE_CONNECTION_STRING=", "PAILFS_STATE_DIR="+filepath.Join(dir, "state"),
		"PAILFS_RUN_DIR="+filepath.Join(dir, "run"), "AWS_EC2_METADATA_DISABLED=true", "GCE_METADATA_HOST=127.0.0.1:1")
	r.replace = strings.NewReplacer(append([]string{"/mnt/", r.mounts + "/", " mydb", " shop"}, s.replace...)...)
	t.Cleanup(func() { r.unmount(t) })
	return r
}

func (r *pageRun) all(t *testing.T, text string) {
	ran := 0
	for _, found := range block.FindAllStringSubmatch(text, -1) {
		skip, language, code := found[1], found[2], found[3]
		switch {
		case language != "": // an answer, a file
		case skip != "":
			wantReference(t, skip)
		default:
			ran++
			first, _, _ := strings.Cut(code, "\n")
			t.Run(first, func(t *testing.T) { r.block(t, code) })
		}
	}
	if ran == 0 {
		t.Error("the page has no command")
	}
}

// wantReference checks that the test exists by which a block is excused.
func wantReference(t *testing.T, comment string) {
	t.Helper()
	m := reference.FindStringSubmatch(comment)
	if m == nil {
		t.Errorf("%q names no test: write \"not run: why; see TestName in package\"", comment)
		return
	}
	files, _ := filepath.Glob(filepath.Join("..", m[2], "*_test.go"))
	if !slices.ContainsFunc(files, func(f string) bool {
		text, err := os.ReadFile(f)
		return err == nil && strings.Contains(string(text), "func "+m[1]+"(")
	}) {
		t.Errorf("%s has no %s", m[2], m[1])
	}
}

// block runs one: as a whole if it also unmounts, else line by line, each being
// one way to do the same.
func (r *pageRun) block(t *testing.T, code string) {
	t.Helper()
	code = r.replace.Replace(code)
	for _, m := range regexp.MustCompile(regexp.QuoteMeta(r.mounts)+`/[\w/]+`).FindAllString(code, -1) {
		if !strings.Contains(strings.TrimPrefix(m, r.mounts+"/"), "/") {
			check(t, os.MkdirAll(m, 0o755))
		}
	}
	scripts := []string{code}
	if !strings.Contains(code, "umount") {
		scripts = strings.Split(strings.TrimSpace(strings.ReplaceAll(code, "\\\n", " ")), "\n")
	}
	for _, s := range scripts {
		// What runs in the background ends with the script.
		r.run(t, "trap 'kill $(jobs -p) 2>/dev/null || :' EXIT\n"+s)
		if strings.Contains(s, "pailfs mount") && !strings.Contains(s, "umount") && len(mountsBelow(r.mounts)) == 0 {
			t.Errorf("nothing is mounted after: %s", s)
		}
		r.unmount(t)
	}
}

func (r *pageRun) unmount(t *testing.T) {
	t.Helper()
	for _, m := range mountsBelow(r.mounts) {
		if out, err := r.try("pailfs umount " + m); err != nil {
			t.Errorf("umount %s: %v\n%s", m, err, out)
			r.try("umount -l " + m)
		}
	}
}

func azureStage(t *testing.T) stage {
	ep := servers.Azure(t)
	client, err := ep.Client()
	check(t, err)
	for _, name := range []string{"backups", "public"} {
		public := service.CreateContainerOptions{}
		if name == "public" {
			public.Access = new(service.PublicAccessType)
			*public.Access = service.PublicAccessTypeContainer
		}
		_, err := client.CreateContainer(t.Context(), name, &public)
		check(t, err)
		t.Cleanup(func() { client.DeleteContainer(context.WithoutCancel(t.Context()), name, nil) })
	}
	key, err := service.NewSharedKeyCredential(ep.Account, ep.Key)
	check(t, err)
	q, err := sas.BlobSignatureValues{ContainerName: "backups", Permissions: "racwdl", ExpiryTime: time.Now().Add(time.Hour).UTC()}.SignWithSharedKey(key)
	check(t, err)
	file := filepath.Join(tempDir(t), "key")
	check(t, os.WriteFile(file, []byte(ep.Key+"\n"), 0o600))
	main, err := servers.Azurite()
	check(t, err)
	own, err := servers.FreePort()
	check(t, err)
	_, port, _ := strings.Cut(own, ":")
	return stage{
		endpoint: ep.Host(),
		env: append(ep.Env(), "KEY_ESCAPED="+url.QueryEscape(ep.Key), "SAS="+q.Encode(),
			"CONNECTION=AccountName="+ep.Account+";AccountKey="+ep.Key+";BlobEndpoint="+ep.URL),
		replace: []string{
			"mystore", ep.Account, "/etc/pailfs/key", file, "127.0.0.1:10000", own,
			"azurite-blob", "node " + main + " --blobPort " + port + " --silent --disableTelemetry > azurite.out",
		},
	}
}

func gcsStage(t *testing.T) stage {
	ep := servers.GCS(t)
	for _, name := range []string{"backups", "public-bucket", "locked"} {
		check(t, servers.MakeGCSBucket(t.Context(), ep, name))
	}
	program, err := servers.FakeGCS()
	check(t, err)
	own, err := servers.FreePort()
	check(t, err)
	_, port, _ := strings.Cut(own, ":")
	return stage{
		endpoint: ep.API(), env: ep.Env(),
		replace: []string{
			"/etc/pailfs/key.json", serviceAccountKey(t), "127.0.0.1:4443", own, "-port 4443", "-port " + port,
			"fake-gcs-server ", program + " ",
		},
	}
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
