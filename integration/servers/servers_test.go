package servers

import (
	"bufio"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

func TestS3IsSharedAndEndsWithItsLastUser(t *testing.T) {
	var first, second Endpoint
	t.Run("users", func(t *testing.T) {
		first = S3(t)
		second = S3(t)
		if first != second {
			t.Fatalf("two servers: %v and %v", first.URL, second.URL)
		}
		bucket := Bucket(t, first)
		_, err := first.Client().PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: aws.String(bucket), Key: aws.String("k"), Body: strings.NewReader("body"),
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	if conn, err := net.Dial("tcp", strings.TrimPrefix(first.URL, "http://")); err == nil {
		conn.Close()
		t.Error("the server still listens")
	}
	if _, err := os.Stat(first.data); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the data is still there: %v", err)
	}
}

// TestServerDiesWithItsProcess kills a process that started a server.
func TestServerDiesWithItsProcess(t *testing.T) {
	if os.Getenv("PAILFS_TEST_CHILD") != "" {
		ep := S3(t)
		os.Stdout.WriteString("server " + strconv.Itoa(sharedS3.process.cmd.Process.Pid) + " " + ep.data + "\n")
		select {} // until killed
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.timeout=5m")
	cmd.Env = append(os.Environ(), "PAILFS_TEST_CHILD=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	var pid int
	var data string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if f := strings.Fields(lines.Text()); len(f) == 3 && f[0] == "server" {
			pid, _ = strconv.Atoi(f[1])
			data = f[2]
			break
		}
	}
	if pid == 0 {
		t.Fatal("the child started no server")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for alive(pid) {
		select {
		case <-ctx.Done():
			t.Fatalf("server %d outlives its process", pid)
		case <-time.After(10 * time.Millisecond):
		}
	}
	_ = cmd.Wait() // killed: now its locks are gone too
	// Its data goes when the next server starts, here or in another process.
	S3(t)
	for {
		_, err := os.Stat(filepath.Dir(data))
		if errors.Is(err, os.ErrNotExist) {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the data of the killed server is still there: %v", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// alive says whether a process runs; a zombie does not.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}
