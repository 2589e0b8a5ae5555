package servers

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

var (
	minio    = program{"github.com/minio/minio", "v0.0.0-20260212201848-7aac2a2c5b7c"}
	gofakes3 = program{"github.com/johannesboyne/gofakes3/cmd/gofakes3", "v1.2.0"}
	fauxqs   = npmProgram{"fauxqs", "2.4.1", "dist/cli.js"}
	// fauxqs needs a newer node than Debian has.
	node = npmProgram{"node-linux-" + nodeArch[runtime.GOARCH], "22.23.5", "bin/node"}
)

var nodeArch = map[string]string{"amd64": "x64", "arm64": "arm64"}

// Compatibles are the S3 servers besides versitygw, which is the one of S3.
var Compatibles = []string{"minio", "gofakes3", "fauxqs"}

// StartCompatible starts one of Compatibles, for this test alone.
func StartCompatible(t testing.TB, name string) Endpoint {
	t.Helper()
	dir, lock, err := dataDir(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		os.RemoveAll(dir)
		lock.Close()
	})
	var lastErr error
	for range 5 { // somebody may take the free port before the server does
		ep, p, err := startCompatible(name, dir)
		if err == nil {
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("the output of %s ends:\n%s", name, p.tail())
				}
				p.stop()
			})
			return ep
		}
		lastErr = err
	}
	t.Fatalf("start %s: %v", name, lastErr)
	return Endpoint{}
}

func startCompatible(name, dir string) (Endpoint, *process, error) {
	addr, err := freePort()
	if err != nil {
		return Endpoint{}, nil, err
	}
	ep := Endpoint{URL: "http://" + addr, AccessKey: "pailfs-test", SecretKey: rand.Text(), Region: "us-east-1"}
	ready := ep.URL
	var cmd *exec.Cmd
	switch name {
	case "minio":
		file, err := minio.install()
		if err != nil {
			return ep, nil, err
		}
		ep.Region = "eu-north-9" // which nobody guesses
		cmd = exec.Command(file, "server", "--quiet", "--address", addr, "--console-address", "127.0.0.1:0", filepath.Join(dir, "data"))
		cmd.Env = append(os.Environ(), "MINIO_ROOT_USER="+ep.AccessKey, "MINIO_ROOT_PASSWORD="+ep.SecretKey, "MINIO_SITE_REGION="+ep.Region, "MINIO_UPDATE=off", "MINIO_CALLHOME_ENABLE=off")
		ready += "/minio/health/live"
	case "gofakes3":
		file, err := gofakes3.install()
		if err != nil {
			return ep, nil, err
		}
		cmd = exec.Command(file, "-quiet", "-host", addr, "-backend", "memory")
	case "fauxqs":
		file, err := fauxqs.install()
		if err != nil {
			return ep, nil, err
		}
		program, err := node.install()
		if err != nil {
			return ep, nil, err
		}
		host, port, _ := net.SplitHostPort(addr)
		cmd = exec.Command(program, file)
		cmd.Env = append(os.Environ(), "FAUXQS_HOST="+host, "FAUXQS_PORT="+port, "FAUXQS_LOGGER=false")
		ready += "/health"
	default:
		return ep, nil, fmt.Errorf("no server %q", name)
	}
	cmd.Dir = dir
	p, err := startProcess(cmd, filepath.Join(dir, "output"))
	if err != nil {
		return ep, nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	if err := p.waitReady(ctx, ready); err != nil {
		p.stop()
		return ep, nil, err
	}
	return ep, p, nil
}
