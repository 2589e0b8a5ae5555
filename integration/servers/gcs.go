package servers

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var fakeGCS = program{"github.com/fsouza/fake-gcs-server", "v1.56.1"}

// FakeGCS is the program of the server, without the front.
func FakeGCS() (string, error) { return fakeGCS.install() }

// GCSEndpoint says how to reach a Cloud Storage server: fake-gcs-server behind a
// front that adds what it lacks of the real service (see gcsFront).
type GCSEndpoint struct {
	URL string // http://127.0.0.1:PORT
	Raw string // the same server without the front
}

// API is the endpoint as it is written in the URL of a mount.
func (e GCSEndpoint) API() string { return e.URL + "/storage/v1" }

// Env is the environment in which a program, pailfs included, looks for no
// credentials of the user or the machine.
func (e GCSEndpoint) Env() []string {
	return []string{
		"GOOGLE_APPLICATION_CREDENTIALS=",
		"STORAGE_EMULATOR_HOST=",
		"CLOUDSDK_CONFIG=" + os.DevNull,
		"GCE_METADATA_HOST=127.0.0.1:1",
	}
}

var sharedGCS = shared[GCSEndpoint]{name: "Cloud Storage", start: startGCS}

// GCS returns the Cloud Storage server that the tests of this process share.
func GCS(t testing.TB) GCSEndpoint { return sharedGCS.hold(t) }

// startGCS starts a Cloud Storage server. Its objects are in its memory alone.
func startGCS() (ep GCSEndpoint, p *process, stop func(), err error) {
	file, err := fakeGCS.install()
	if err != nil {
		return ep, nil, nil, err
	}
	dir, lock, err := dataDir("gcs")
	if err != nil {
		return ep, nil, nil, err
	}
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		lock.Close()
		return ep, nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	remove := func() {
		front.Close()
		os.RemoveAll(dir)
		lock.Close()
	}
	ep.URL = "http://" + front.Addr().String()
	for range 5 { // somebody may take the free port before the server does
		ep.Raw, p, err = startFakeGCS(file, front.Addr().String(), dir)
		if err == nil {
			break
		}
	}
	if err != nil {
		remove()
		return ep, nil, nil, err
	}
	server := &http.Server{Handler: newGCSFront(ep.Raw)}
	go server.Serve(front) // ends with Close
	return ep, p, func() {
		server.Close()
		p.stop()
		remove()
	}, nil
}

// StartGCS starts a Cloud Storage server of the caller's own, for programs that
// are no test: fake-gcs-server without the front, so that its time is not
// measured. Its answers name public (host:port) as its address, or its own where
// that is "".
func StartGCS(public string) (ep GCSEndpoint, _ Own, err error) {
	file, err := fakeGCS.install()
	if err != nil {
		return ep, Own{}, err
	}
	dir, lock, err := dataDir("gcs")
	if err != nil {
		return ep, Own{}, err
	}
	remove := func() {
		os.RemoveAll(dir)
		lock.Close()
	}
	var p *process
	for range 5 { // somebody may take the free port before the server does
		if ep.Raw, p, err = startFakeGCS(file, public, dir); err == nil {
			ep.URL = ep.Raw
			return ep, own(p, func() { p.stop(); remove() }), nil
		}
	}
	remove()
	return ep, Own{}, err
}

// startFakeGCS starts the server proper. Clients are told that public is its
// address, where the links of its answers lead; "" is its own.
func startFakeGCS(file, public, dir string) (string, *process, error) {
	// Only our own server has this bucket: whoever else took the port has not.
	seed, bucket := filepath.Join(dir, "seed"), "ours-"+strings.ToLower(rand.Text())
	if err := os.MkdirAll(filepath.Join(seed, bucket), 0o755); err != nil {
		return "", nil, err
	}
	addr, err := freePort()
	if err != nil {
		return "", nil, err
	}
	if public == "" {
		public = addr
	}
	host, port, _ := net.SplitHostPort(addr)
	// The file back end cannot hold directory markers, nor a key below a key.
	cmd := exec.Command(file, "-scheme", "http", "-host", host, "-port", port, "-backend", "memory",
		"-external-url", "http://"+public, "-public-host", public, "-data", seed, "-log-level", "warn")
	p, err := startProcess(cmd, filepath.Join(dir, "output"))
	if err != nil {
		return "", nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	if err := p.waitReady(ctx, "http://"+addr+"/storage/v1/b/"+bucket); err != nil {
		p.stop()
		return "", nil, err
	}
	return "http://" + addr, p, nil
}

// GCSBucket makes an empty bucket for one test. Its objects go when the test
// ends.
func GCSBucket(t testing.TB, ep GCSEndpoint) string {
	t.Helper()
	name := strings.ToLower("test-" + rand.Text())
	if err := MakeGCSBucket(t.Context(), ep, name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
		defer cancel()
		names, err := GCSObjects(ctx, ep, name)
		if err != nil {
			t.Errorf("empty the bucket: %v", err)
		}
		for _, object := range names {
			object := ep.Raw + "/storage/v1/b/" + name + "/o/" + url.PathEscape(object)
			if _, err := gcsCall(ctx, http.MethodDelete, object, nil); err != nil {
				t.Errorf("empty the bucket: %v", err)
			}
		}
	})
	return name
}

// MakeGCSBucket makes a bucket.
func MakeGCSBucket(ctx context.Context, ep GCSEndpoint, name string) error {
	body, err := json.Marshal(map[string]string{"name": name})
	if err != nil {
		return err
	}
	_, err = gcsCall(ctx, http.MethodPost, ep.Raw+"/storage/v1/b?project=test", body)
	return err
}

// GCSObjects lists the names of all objects of a bucket, without any driver, for
// tests that look at what pailfs wrote.
func GCSObjects(ctx context.Context, ep GCSEndpoint, bucket string) ([]string, error) {
	out, err := gcsCall(ctx, http.MethodGet, ep.Raw+"/storage/v1/b/"+bucket+"/o", nil)
	if err != nil {
		return nil, err
	}
	var list struct{ Items []struct{ Name string } }
	if err := json.Unmarshal(out, &list); err != nil {
		return nil, err
	}
	names := make([]string, 0, len(list.Items))
	for _, item := range list.Items {
		names = append(names, item.Name)
	}
	return names, nil
}

// gcsCall makes one JSON request and returns the body of its answer.
func gcsCall(ctx context.Context, method, url string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var out bytes.Buffer
	if _, err := out.ReadFrom(resp.Body); err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, &gcsStatus{resp.StatusCode, fmt.Sprintf("%s %s: %s\n%s", method, url, resp.Status, out.Bytes())}
	}
	return out.Bytes(), nil
}

// gcsStatus is an answer other than 200.
type gcsStatus struct {
	code int
	text string
}

func (s *gcsStatus) Error() string { return s.text }
