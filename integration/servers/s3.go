package servers

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Endpoint says how to reach a server.
type Endpoint struct {
	URL       string // http://127.0.0.1:PORT
	AccessKey string
	SecretKey string
	Region    string

	data string // the directory of the buckets
}

// Env is the environment in which a program, pailfs included, reaches the
// server through its SDK's default chain, without any file of the user.
func (e Endpoint) Env() []string {
	return []string{
		"AWS_ACCESS_KEY_ID=" + e.AccessKey,
		"AWS_SECRET_ACCESS_KEY=" + e.SecretKey,
		"AWS_SESSION_TOKEN=",
		"AWS_PROFILE=",
		"AWS_REGION=" + e.Region,
		"AWS_ENDPOINT_URL=",
		"AWS_CONFIG_FILE=/dev/null",
		"AWS_SHARED_CREDENTIALS_FILE=/dev/null",
		"AWS_EC2_METADATA_DISABLED=true",
	}
}

// Setenv sets Env for the rest of the test.
func (e Endpoint) Setenv(t testing.TB) {
	t.Helper()
	for _, kv := range e.Env() {
		k, v, _ := strings.Cut(kv, "=")
		t.Setenv(k, v)
	}
}

// Client is an SDK client of the server, for tests that look at what pailfs
// wrote without pailfs.
func (e Endpoint) Client() *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: aws.String(e.URL),
		Region:       e.Region,
		UsePathStyle: true,
		Credentials:  credentials.NewStaticCredentialsProvider(e.AccessKey, e.SecretKey, ""),
	})
}

var sharedS3 = shared[Endpoint]{name: "S3", start: startS3}

// S3 returns the S3 server that the tests of this process share.
func S3(t testing.TB) Endpoint { return sharedS3.hold(t) }

// StartS3 starts an S3 server of the caller's own, for programs that are no
// test.
func StartS3() (Endpoint, Own, error) {
	ep, p, stop, err := startS3()
	return ep, own(p, stop), err
}

func startS3() (Endpoint, *process, func(), error) {
	program, err := versitygw.install()
	if err != nil {
		return Endpoint{}, nil, nil, err
	}
	dir, lock, err := dataDir("s3")
	if err != nil {
		return Endpoint{}, nil, nil, err
	}
	remove := func() {
		os.RemoveAll(dir)
		lock.Close()
	}
	buckets := filepath.Join(dir, "buckets")
	if err := os.Mkdir(buckets, 0o755); err != nil {
		remove()
		return Endpoint{}, nil, nil, err
	}
	ep := Endpoint{AccessKey: "pailfs-test", SecretKey: rand.Text(), Region: "us-east-1", data: buckets}

	var lastErr error
	for range 5 { // somebody may take the free port before the server does
		addr, err := freePort()
		if err != nil {
			lastErr = err
			break
		}
		// Only our own server knows this path.
		health := "/" + strings.ToLower(rand.Text())
		cmd := exec.Command(program, "--port", addr, "--region", ep.Region, "--keep-alive", "--quiet",
			"--health", health, "posix", "--disableotmp", buckets)
		cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+ep.AccessKey, "ROOT_SECRET_KEY="+ep.SecretKey)
		p, err := startProcess(cmd, filepath.Join(dir, "output"))
		if err != nil {
			lastErr = err
			break
		}
		ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
		err = p.waitReady(ctx, "http://"+addr+health)
		cancel()
		if err == nil {
			ep.URL = "http://" + addr
			return ep, p, func() { p.stop(); remove() }, nil
		}
		p.stop()
		lastErr = err
	}
	remove()
	return Endpoint{}, nil, nil, lastErr
}

// Versitygw is the program of S3, for a test that starts it as its users do.
func Versitygw() (string, error) { return versitygw.install() }

// Bucket makes an empty bucket for one test and removes it, with all that is in
// it, when the test ends.
func Bucket(t testing.TB, ep Endpoint) string {
	t.Helper()
	name := strings.ToLower("test-" + rand.Text())
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	if err := MakeBucket(ctx, ep, name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(filepath.Join(ep.data, name)) })
	return name
}

// MakeBucket makes a bucket.
func MakeBucket(ctx context.Context, ep Endpoint, name string) error {
	if _, err := ep.Client().CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(name)}); err != nil {
		return fmt.Errorf("make bucket %q: %w", name, err)
	}
	return nil
}
