package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pailfs/pailfs/cmd/pailfs/internal/control"
	"github.com/pailfs/pailfs/cmd/pailfs/internal/mounts"
	"golang.org/x/sys/unix"
)

// TestMain makes the test binary pailfs itself when a test starts it as such.
func TestMain(m *testing.M) {
	if os.Getenv("PAILFS_TEST_PROGRAM") != "" {
		main()
	}
	os.Exit(m.Run())
}

// site is a bucket, a mount point and directories of one test.
type site struct {
	t             *testing.T
	bucket, point string
	run, state    string
}

func newSite(t *testing.T) *site {
	t.Helper()
	if f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0); err == nil {
		f.Close()
	} else if os.Getenv("CI") != "" {
		t.Fatal(err)
	} else {
		t.Skip(err)
	}
	dir, err := os.MkdirTemp("", "pailfs")
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t, filepath.Join(dir, "b"), filepath.Join(dir, "m"), filepath.Join(dir, "r"), filepath.Join(dir, "s")}
	for _, d := range []string{s.bucket, s.point} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		s.end()
		if t.Failed() {
			logs, _ := filepath.Glob(filepath.Join(s.state, "*.log"))
			for _, name := range logs {
				text, _ := os.ReadFile(name)
				t.Logf("%s:\n%s", name, text)
			}
		}
		os.RemoveAll(dir)
	})
	return s
}

// end kills what still serves the mount point, so that a failed test leaves
// nothing.
func (s *site) end() {
	for _, pid := range s.servers() {
		unix.Kill(pid, unix.SIGKILL)
	}
	for s.mounted() && mounts.Detach(s.t.Context(), s.point) == nil {
	}
	unix.Unmount(s.point, unix.MNT_DETACH)
}

func (s *site) mounted() bool {
	s.t.Helper()
	_, ok, err := mounts.At(s.point)
	if err != nil {
		s.t.Fatal(err)
	}
	return ok
}

func (s *site) servers() []int {
	names, _ := filepath.Glob(filepath.Join(s.run, "*.lock"))
	var pids []int
	for _, name := range names {
		text, _ := os.ReadFile(name)
		if pid, err := strconv.Atoi(string(text)); err == nil && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}

func (s *site) command(args ...string) *exec.Cmd {
	exe, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.Command(exe, args...)
	cmd.Args[0] = "pailfs"
	cmd.Env = append(os.Environ(), "PAILFS_TEST_PROGRAM=1", "GORACE=atexit_sleep_ms=0", "PAILFS_RUN_DIR="+s.run, "PAILFS_STATE_DIR="+s.state,
		"AWS_EC2_METADATA_DISABLED=true", "AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=x", "AWS_REGION=us-east-1")
	return cmd
}

// pailfs runs a command to its end.
func (s *site) pailfs(args ...string) (out string, code int) {
	s.t.Helper()
	return s.finish(s.command(args...))
}

func (s *site) finish(cmd *exec.Cmd) (out string, code int) {
	s.t.Helper()
	var text bytes.Buffer
	cmd.Stdout, cmd.Stderr = &text, &text
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	return text.String(), cmd.ProcessState.ExitCode()
}

func (s *site) mount(flags ...string) {
	s.t.Helper()
	if out, code := s.pailfs(append(append([]string{"mount"}, flags...), "file://"+s.bucket, s.point)...); code != 0 || out != "" {
		s.t.Fatalf("mount: exit code %d, printed %q", code, out)
	}
	if !s.mounted() {
		s.t.Fatal("mount returned 0 and nothing is mounted")
	}
}

// server waits for, and returns, the end of the one server process.
func (s *site) server() (pid int, wait func()) {
	s.t.Helper()
	pids := s.servers()
	if len(pids) != 1 {
		s.t.Fatalf("server processes %v, want one", pids)
	}
	fd, err := unix.PidfdOpen(pids[0], 0)
	if err != nil {
		s.t.Fatal(err)
	}
	return pids[0], func() {
		s.t.Helper()
		defer unix.Close(fd)
		for {
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 60_000)
			if err == unix.EINTR {
				continue
			}
			if n != 1 {
				s.t.Fatalf("process %d has not ended: %v", pids[0], err)
			}
			return
		}
	}
}

func (s *site) clean() {
	s.t.Helper()
	if s.mounted() {
		s.t.Error("still mounted")
	}
	if left, _ := os.ReadDir(s.run); len(left) > 0 {
		s.t.Errorf("left in the run directory: %v", left)
	}
}

func (s *site) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.point, name), []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

func TestMountWriteUnmount(t *testing.T) {
	s := newSite(t)
	s.mount()
	s.write("f", "text")
	if out, code := s.pailfs("umount", s.point); code != 0 || out != "" {
		t.Errorf("umount: exit code %d, printed %q", code, out)
	}
	s.clean()
	if text, err := os.ReadFile(filepath.Join(s.bucket, "f")); err != nil || string(text) != "text" {
		t.Errorf("bucket has %q, %v", text, err)
	}
	out, code := s.pailfs("umount", s.point)
	checkLine(t, "second umount", out, "is not mounted")
	if code != exitFailed {
		t.Errorf("second umount: exit code %d", code)
	}
}

func TestMountTwice(t *testing.T) {
	s := newSite(t)
	s.mount()
	out, code := s.pailfs("mount", "--nonempty", "file://"+s.bucket, s.point)
	checkLine(t, "second mount", out, "already mounted")
	if code != exitFailed || !s.mounted() {
		t.Errorf("second mount: exit code %d, mounted %v", code, s.mounted())
	}
}

func TestBusy(t *testing.T) {
	s := newSite(t)
	s.mount()
	s.write("f", "text")
	f, err := os.Open(filepath.Join(s.point, "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out, code := s.pailfs("umount", s.point)
	checkLine(t, "umount", out, fmt.Sprintf("pid %d", os.Getpid()))
	if code != exitFailed || !s.mounted() {
		t.Errorf("umount: exit code %d, mounted %v", code, s.mounted())
	}
	if out, code := s.pailfs("umount", "--lazy", s.point); code != 0 {
		t.Errorf("umount --lazy: exit code %d, printed %q", code, out)
	}
	s.clean()
}

func TestDeadMountIsCleanedUp(t *testing.T) {
	for _, then := range []string{"mount", "umount"} {
		s := newSite(t)
		s.mount()
		s.write("f", "text")
		pid, wait := s.server()
		if err := unix.Kill(pid, unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		wait()
		// The kernel may still remember the attributes of the root.
		if !mounts.Dead(s.point, time.Minute) {
			t.Error("a mount whose server was killed is not dead")
		}
		if then == "mount" {
			s.mount()
			if text, err := os.ReadFile(filepath.Join(s.point, "f")); err != nil || string(text) != "text" {
				t.Errorf("read %q, %v", text, err)
			}
		}
		if out, code := s.pailfs("umount", s.point); code != 0 {
			t.Errorf("umount: exit code %d, printed %q", code, out)
		}
		if s.mounted() {
			t.Error("still mounted")
		}
	}
}

func TestSystemUnmount(t *testing.T) {
	s := newSite(t)
	s.mount()
	_, wait := s.server()
	if err := mounts.Unmount(t.Context(), s.point); err != nil {
		t.Fatal(err)
	}
	wait()
	s.clean()
}

func TestTermination(t *testing.T) {
	s := newSite(t)
	s.mount()
	s.write("f", "text")
	pid, wait := s.server()
	if name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); err != nil || string(name) != "pailfs\n" {
		t.Errorf("the server process is called %q, %v", name, err)
	}
	if err := unix.Kill(pid, unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	wait()
	s.clean()
}

// In the foreground the exit code is the process's own, and a service manager
// hears when the mount answers.
func TestForeground(t *testing.T) {
	s := newSite(t)
	addr := filepath.Join(filepath.Dir(s.run), "n")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: addr, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	cmd := s.command("mount", "-f", "file://"+s.bucket, s.point)
	cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+addr)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1000)
	n, err := conn.Read(buf)
	if err != nil || !strings.HasPrefix(string(buf[:n]), "READY=1\nSTATUS=serving file://") || !s.mounted() {
		t.Errorf("notified %q, %v, mounted %v", buf[:n], err, s.mounted())
	}
	if err := cmd.Process.Signal(unix.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	s.clean()
}

func TestMountHelper(t *testing.T) {
	s := newSite(t)
	cmd := s.command("file://"+s.bucket+"?token=S3KR1T", s.point, "-n", "-o", "rw,noexec,_netdev,nofail,x-systemd.automount")
	cmd.Args[0] = "/sbin/mount.fuse.pailfs"
	if out, code := s.finish(cmd); code == 0 || strings.Contains(out, "S3KR1T") {
		t.Errorf("an unknown parameter: exit code %d, printed %q", code, out)
	}
	cmd = s.command("file://"+s.bucket, s.point, "-n", "-o", "rw,noexec,_netdev,nofail,x-systemd.automount")
	cmd.Args[0] = "/sbin/mount.fuse.pailfs"
	if out, code := s.finish(cmd); code != 0 {
		t.Fatalf("exit code %d, printed %q", code, out)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(s.point, &st); err != nil || st.Flags&unix.ST_NOEXEC == 0 || st.Flags&unix.ST_NOSUID == 0 {
		t.Errorf("flags %#x, %v", st.Flags, err)
	}
	cmd = s.command(s.point, "-n")
	cmd.Args[0] = "/sbin/umount.fuse.pailfs"
	if out, code := s.finish(cmd); code != 0 {
		t.Errorf("umount: exit code %d, printed %q", code, out)
	}
	s.clean()
}

// Each mistake is one line, a non-zero exit code, and nothing mounted.
func TestMistakes(t *testing.T) {
	s := newSite(t)
	file := filepath.Join(s.bucket, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	unreachable := "s3://b?endpoint=http://" + closedPort(t) + "&path-style=true"
	tests := []struct {
		name, source, point, want string
	}{
		{"no mount point", "file://" + s.bucket, s.point + "x", "mkdir -p"},
		{"a file", "file://" + s.bucket, file, "is not a directory"},
		{"not empty", "file://" + s.bucket, s.bucket, "is not empty"},
		{"no bucket", "file://" + s.bucket + "x", s.point, "create it"},
		{"scheme", "gopher://b", s.point, "gopher"},
		{"endpoint", unreachable, s.point, "the endpoint does not answer"},
		{"parameter", "s3://b?regoin=x", s.point, "regoin"},
	}
	for _, tt := range tests {
		for _, mode := range [][]string{nil, {"-f"}} {
			args := append(append([]string{"mount", "--connect-timeout=3s"}, mode...), tt.source, tt.point)
			out, code := s.pailfs(args...)
			if mode != nil { // the log goes to stderr as well; the error comes last
				lines := strings.SplitAfter(strings.TrimSuffix(out, "\n"), "\n")
				out = lines[len(lines)-1] + "\n"
			}
			checkLine(t, tt.name, out, tt.want)
			if code == 0 {
				t.Errorf("%s: exit code 0", tt.name)
			}
			s.clean()
		}
	}
}

// closedPort is an address where nobody listens.
func closedPort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// An earlier server that still saves keeps a new one away.
func TestMountWaitsForEarlierServer(t *testing.T) {
	s := newSite(t)
	lock, err := control.Acquire(s.run, s.point)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Release()
	out, code := s.pailfs("mount", "file://"+s.bucket, s.point)
	checkLine(t, "mount", out, fmt.Sprintf("served by process %d", os.Getpid()))
	if code == 0 || s.mounted() {
		t.Errorf("exit code %d, mounted %v", code, s.mounted())
	}
}
