package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pailfs/pailfs/cmd/pailfs/internal/mounts"
	"golang.org/x/sys/unix"
)

// eventually waits until ok, for as long as a busy machine may take.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// mount(8) at boot calls with next to no environment.
func TestEmptyEnvironment(t *testing.T) {
	s := newSite(t)
	for _, args := range [][]string{{"file://" + s.bucket, s.point, "-o", "rw,run-dir=" + s.run + ",state-dir=" + s.state}, {s.point}} {
		cmd := s.command(args...)
		cmd.Env = []string{"PAILFS_TEST_PROGRAM=1", "GORACE=atexit_sleep_ms=0", "PATH=/", "PAILFS_RUN_DIR=" + s.run}
		cmd.Dir = "/"
		cmd.Args[0] = map[bool]string{true: "/sbin/mount.pailfs", false: "/sbin/umount.pailfs"}[len(args) > 1]
		if out, code := s.finish(cmd); code != 0 || out != "" {
			t.Fatalf("%s: exit code %d, printed %q", cmd.Args[0], code, out)
		}
		if s.mounted() != (len(args) > 1) {
			t.Fatalf("%s: mounted %v", cmd.Args[0], s.mounted())
		}
	}
	s.clean()
}

// `mount -o remount,ro` and back, as mount(8) calls its helper.
func TestRemount(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("only root can remount")
		}
		t.Skip("only root can remount")
	}
	s := newSite(t)
	remount := func(options string) (string, int) {
		cmd := s.command("file://"+s.bucket, s.point, "-o", options)
		cmd.Args[0] = "/sbin/mount.fuse.pailfs"
		return s.finish(cmd)
	}
	write := func() error { return os.WriteFile(filepath.Join(s.point, "f"), []byte("x"), 0o644) }
	out, code := remount("remount,ro")
	checkLine(t, "nothing mounted", out, "no pailfs is mounted there")
	if code == 0 {
		t.Error("remounted what is not mounted")
	}
	s.mount("-o", "noexec,nosymfollow")
	f, err := os.Create(filepath.Join(s.point, "open"))
	if err != nil {
		t.Fatal(err)
	}
	out, _ = remount("rw,remount,ro")
	checkLine(t, "a file is open", out, "open for writing")
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if out, code := remount("rw,remount,ro"); code != 0 {
		t.Fatalf("remount,ro: exit code %d, printed %q", code, out)
	}
	if err := write(); err == nil || !strings.Contains(err.Error(), "read-only") {
		t.Errorf("write after remount,ro: %v", err)
	}
	if m, _, err := mounts.At(s.point); err != nil || !strings.HasPrefix(m.Flags, "ro,") || !strings.Contains(m.Flags, "nosuid,nodev,noexec") || !strings.Contains(m.Flags, "nosymfollow") {
		t.Errorf("flags %q, %v", m.Flags, err)
	}
	if out, code := remount("remount,rw"); code != 0 {
		t.Fatalf("remount,rw: exit code %d, printed %q", code, out)
	}
	if err := write(); err != nil {
		t.Errorf("write after remount,rw: %v", err)
	}
	link := filepath.Join(s.point, "link")
	if err := os.Symlink("f", link); err != nil {
		t.Fatal(err)
	}
	if _, err := os.ReadFile(link); !errors.Is(err, unix.ELOOP) {
		t.Errorf("a link followed with nosymfollow: %v", err)
	}
	if out, code := s.pailfs("umount", s.point); code != 0 {
		t.Fatalf("umount: exit code %d, printed %q", code, out)
	}
	s.mount("--read-only")
	out, code = remount("remount,rw")
	checkLine(t, "read-only from the start", out, "read-only from the start")
	if code == 0 || write() == nil {
		t.Error("writable, though it was mounted read-only")
	}
}

// SIGHUP goes on in a new log file after the old one was moved away.
func TestHangupReopensTheLog(t *testing.T) {
	s := newSite(t)
	log := filepath.Join(filepath.Dir(s.run), "log")
	s.mount("--log-file", log)
	if err := os.Rename(log, log+".1"); err != nil {
		t.Fatal(err)
	}
	pid, _ := s.server()
	if err := unix.Kill(pid, unix.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new log says reloaded", func() bool {
		text, _ := os.ReadFile(log)
		return strings.Contains(string(text), `"msg":"reloaded"`)
	})
	if old, err := os.ReadFile(log + ".1"); err != nil || !strings.Contains(string(old), `"msg":"mounted"`) || strings.Contains(string(old), "reloaded") {
		t.Errorf("the old log: %v\n%s", err, old)
	}
	if fi, err := os.Stat(log); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("the new log: %v, %v", fi, err)
	}
	if out, code := s.pailfs("umount", s.point); code != 0 {
		t.Errorf("umount: exit code %d, printed %q", code, out)
	}
}

// systemd's watchdog hears of a server that lives, and systemd that it stops.
func TestSystemdIsTold(t *testing.T) {
	s := newSite(t)
	addr := filepath.Join(filepath.Dir(s.run), "n")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: addr, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	cmd := s.command("mount", "-f", "file://"+s.bucket, s.point)
	cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+addr, "WATCHDOG_USEC=200000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	conn.SetReadDeadline(time.Now().Add(time.Minute))
	hear := func(what string) {
		t.Helper()
		for buf := make([]byte, 1000); ; {
			n, err := conn.Read(buf)
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if strings.Contains(string(buf[:n]), what) {
				return
			}
		}
	}
	hear("READY=1")
	for range 3 {
		hear("WATCHDOG=1")
	}
	if err := cmd.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	hear("STOPPING=1\nEXTEND_TIMEOUT_USEC=16000000\nSTATUS=saving")
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	s.clean()
}

// --listen serves metrics and health while the mount lives; an address that is
// taken fails the mount in one line.
func TestListen(t *testing.T) {
	s := newSite(t)
	log := filepath.Join(filepath.Dir(s.run), "log")
	s.mount("--listen=127.0.0.1:0", "--log-file", log)
	s.write("f", "text")
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`"url":"(http://([^"]*)/)"`).FindStringSubmatch(string(text))
	if found == nil {
		t.Fatalf("the log has no address:\n%s", text)
	}
	for path, want := range map[string]string{"readyz": "ok", "metrics": "\npailfs_commits_total 1\n", "": "page.js", "status.json": s.point} {
		resp, err := http.Get(found[1] + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != 200 || !strings.Contains(string(body), want) {
			t.Errorf("/%s: %d, %v: %s", path, resp.StatusCode, err, body)
		}
	}
	other := newSite(t)
	out, code := other.pailfs("mount", "--listen="+found[2], "file://"+other.bucket, other.point)
	checkLine(t, "an address that is taken", out, "choose another address with --listen")
	if code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	other.clean()
	if out, code := s.pailfs("umount", s.point); code != 0 {
		t.Errorf("umount: exit code %d, printed %q", code, out)
	}
	if _, err := http.Get(found[1]); err == nil {
		t.Error("still served after umount")
	}
}

// Options come from --config, below the environment and the command line.
func TestConfigFile(t *testing.T) {
	s := newSite(t)
	conf := filepath.Join(filepath.Dir(s.run), "pailfs.yaml")
	text := fmt.Sprintf("log-level: error\nmemory: 100M\nparallel: 3\n%s:\n  source: file://%s\n  options: noexec\n  parallel: 4\n", s.point, s.bucket)
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := s.command("mount", "--config", conf, "--log-level=warn", s.point)
	if out, code := s.finish(cmd); code != 0 || out != "" {
		t.Fatalf("exit code %d, printed %q", code, out)
	}
	m, mounted, err := mounts.At(s.point)
	if err != nil || !mounted || !strings.Contains(m.Flags, "noexec") || m.Source != "file://"+s.bucket {
		t.Errorf("%+v, %v, %v", m, mounted, err)
	}
	if out, _ := s.pailfs("status", "--json", s.point); !strings.Contains(out, `"log_level": "warn"`) {
		t.Errorf("status %s", out)
	}
	if out, code := s.pailfs("umount", s.point); code != 0 {
		t.Errorf("umount: exit code %d, printed %q", code, out)
	}
	out, code := s.pailfs("mount", "--config", conf, "/mnt/other")
	checkLine(t, "no section", out, "no section /mnt/other")
	if code != exitUsage {
		t.Errorf("exit code %d", code)
	}
}
