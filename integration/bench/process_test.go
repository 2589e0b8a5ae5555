package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pailfs/pailfs/integration/servers"
)

func testBench(t *testing.T, args ...string) *bench {
	t.Helper()
	cfg, err := parseFlags(append([]string{"--size", "8MiB"}, args...), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return &bench{config: cfg, top: top, log: t.Output()}
}

func TestRunProgramSaysWhatTheProgramSaid(t *testing.T) {
	_, err := runProgram(t.Context(), exec.Command("sh", "-c", "echo first >&2; echo why >&2; exit 3"), nil)
	if err == nil || !strings.HasSuffix(err.Error(), "exit status 3: why") {
		t.Errorf("err %v", err)
	}
	p, err := runProgram(t.Context(), exec.Command("echo", "hello"), nil)
	if err != nil || p.stdout.String() != "hello\n" {
		t.Errorf("err %v", err)
	}
}

func TestRunProgramKillsAtTheEnd(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	released := false
	p, err := runProgram(ctx, exec.Command("sh", "-c", "sleep 1000 & echo $!; wait"), func() { released = true })
	if !errors.Is(err, context.DeadlineExceeded) || p == nil || !released {
		t.Fatalf("process %v, released %v, err %v", p, released, err)
	}
	child := strings.TrimSpace(p.stdout.String())
	if child == "" {
		t.Fatal("the program was killed before it started its child")
	}
	// It dies on its own time. A zombie has ended too, though nobody has taken
	// it in.
	late := time.After(60 * time.Second)
	for {
		status, err := os.ReadFile("/proc/" + child + "/status")
		if err != nil || strings.Contains(string(status), "State:\tZ") {
			return
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-late:
			t.Fatalf("the program's child still runs:\n%s", status)
		}
	}
}

func TestAMountThatNeverAnswersFailsAtTheDeadline(t *testing.T) {
	b := testBench(t, "--deadline", "300ms")
	never := contender{name: "never", mount: func(_ *bench, _ access, _, _, _ string) *exec.Cmd { return exec.Command("sleep", "1000") }}
	r := row{name: "read", bucket: "any", through: func(string) *exec.Cmd { return exec.Command("true") }}
	res := b.measure(t.Context(), link{name: "direct", server: new(server)}, r, never)
	if res.err == nil || !strings.Contains(res.err.Error(), "not done in 300ms") {
		t.Errorf("err %v", res.err)
	}
	left, err := filepath.Glob(b.top + "/*/*")
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, err %v", left, err)
	}
}

func TestAMountThatFailsSaysWhy(t *testing.T) {
	b := testBench(t)
	bad := contender{name: "bad", mount: func(_ *bench, _ access, _, _, _ string) *exec.Cmd {
		return exec.Command("sh", "-c", "echo no such bucket >&2; exit 1")
	}}
	res := b.measure(t.Context(), link{name: "direct", server: new(server)}, row{name: "read"}, bad)
	if res.err == nil || !strings.Contains(res.err.Error(), "no such bucket") {
		t.Errorf("err %v", res.err)
	}
}

func TestAMissingProgramIsARowThatFailed(t *testing.T) {
	b := testBench(t)
	res := b.measure(t.Context(), link{server: new(server)}, row{}, contender{name: "x", program: "no-such-program-anywhere"})
	if res.err == nil || res.err.Error() != "not installed" {
		t.Errorf("err %v", res.err)
	}
}

// TestAServerThatHangsIsUnmounted stops the server of a mount while a program
// waits inside the kernel for it.
func TestAServerThatHangsIsUnmounted(t *testing.T) {
	servers.MustHave(t, "s3fs")
	servers.MustHave(t, "fusermount3")
	b := testBench(t)
	ep := servers.S3(t)
	if err := servers.MakeBucket(t.Context(), ep, "hang"); err != nil {
		t.Fatal(err)
	}
	var s3fs contender
	for _, c := range contenders() {
		if c.name == "s3fs" {
			s3fs = c
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	m, err := b.mountOn(ctx, s3fs, access{Store: "s3", Endpoint: ep.URL, Region: ep.Region, Account: ep.AccessKey, Secret: ep.SecretKey}, "hang")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.clear)
	m.server.signal(syscall.SIGSTOP)
	waitStopped(t, m.server.pid())
	short, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	if _, err := runProgram(short, exec.Command("ls", m.dir), m.kill); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("ls through a server that is stopped: %v", err)
	}
	if err := m.close(ctx); err == nil {
		t.Error("close says nothing of a server that was killed")
	}
	if isMounted(m.dir) {
		t.Error("still mounted")
	}
	if _, err := os.Stat(m.dir); !os.IsNotExist(err) {
		t.Errorf("the mount point is left: %v", err)
	}
}

// waitStopped returns when every thread of a process has stopped: one that is in
// the kernel stops on its own time, and may answer until then.
func waitStopped(t *testing.T, pid int) {
	t.Helper()
	late := time.After(60 * time.Second)
	for {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
		if err != nil || len(threads) == 0 {
			t.Fatalf("threads of %d: %v, err %v", pid, threads, err)
		}
		running := 0
		for _, name := range threads {
			if status, err := os.ReadFile(name); err == nil && !strings.Contains(string(status), "State:\tT") {
				running++
			}
		}
		if running == 0 {
			return
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-late:
			t.Fatalf("%d threads do not stop", running)
		}
	}
}
