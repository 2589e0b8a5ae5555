package integration

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// mountLimit is the longest a mount may live: past it the daemon is killed, so
// that a call which hangs in it ends with an error.
const mountLimit = 5 * time.Minute

// mounted is a running pailfs, or a plain directory.
type mounted struct {
	dir string // where to write
	pid int    // of the daemon; 0 for a plain directory or when it has gone
	log string // its log file

	place *place
	timer *time.Timer
}

// mount starts pailfs on the place, with a new mount point, and returns when
// the mount answers. It is unmounted, or killed, at the end of the test.
func (p *place) mount(t testing.TB, flags ...string) *mounted {
	t.Helper()
	if p.kind == "plain" {
		return &mounted{dir: p.root, place: p}
	}
	m := p.prepare(t)
	out, err := m.start(flags...)
	if err != nil {
		t.Fatalf("pailfs mount %s: %v\n%s%s", p.source, err, out, m.logTail())
	}
	return m
}

// prepare makes the mount point of a mount, and sees to its end.
func (p *place) prepare(t testing.TB) *mounted {
	t.Helper()
	top := tempDir(t)
	m := &mounted{place: p, dir: filepath.Join(top, "mnt"), log: filepath.Join(top, "log")}
	if err := os.Mkdir(m.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if m.pid != 0 {
			if err := m.unmount(); err != nil {
				t.Errorf("at the end: %v", err)
				m.kill()
			}
		}
		m.detach()
		if t.Failed() {
			t.Logf("log of %s on %s:\n%s", p.source, m.dir, m.logTail())
		}
	})
	return m
}

// start runs pailfs mount and finds the daemon it leaves.
func (m *mounted) start(flags ...string) (string, error) {
	args := append([]string{"mount", "--log-file", m.log}, cacheFlags()...)
	args = append(args, flags...)
	out, err := m.place.pailfs(append(args, m.place.source, m.dir)...)
	pids := processesNaming(m.dir)
	if err != nil {
		return out, err
	}
	if len(pids) != 1 {
		return out, fmt.Errorf("%d processes serve %s, not one", len(pids), m.dir)
	}
	m.pid = pids[0]
	pid := m.pid
	m.timer = time.AfterFunc(mountLimit, func() {
		unix.Kill(pid, unix.SIGKILL)
		unix.Unmount(m.dir, unix.MNT_DETACH)
	})
	return out, nil
}

// pailfs runs the binary with the credentials of the place, and nothing else
// in its environment that could matter.
func (p *place) pailfs(args ...string) (string, error) {
	bin, err := binary()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
	defer cancel()
	// A file, not a pipe: a daemon that kept it open would be waited for.
	out, err := os.CreateTemp(runDir, "out")
	if err != nil {
		return "", err
	}
	defer os.Remove(out.Name())
	defer out.Close()
	argv := slices.Concat(p.wrap, []string{bin}, args)
	cmd := command(ctx, argv[0], argv[1:]...)
	cmd.Env = append([]string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=" + runDir, "PAILFS_STATE_DIR=" + p.state, "PAILFS_RUN_DIR=" + filepath.Join(runDir, "run"),
		"AWS_EC2_METADATA_DISABLED=true", "GCE_METADATA_HOST=127.0.0.1:1",
	}, p.env...)
	cmd.Stdout, cmd.Stderr = out, out
	err = cmd.Run()
	text, _ := os.ReadFile(out.Name())
	return string(text), err
}

// umount unmounts as a user does, and fails the test unless the command says
// that all is committed, the daemon exits with 0 and nothing stays mounted.
func (m *mounted) umount(t testing.TB) {
	t.Helper()
	if m.place.kind == "plain" {
		return
	}
	if err := m.unmount(); err != nil {
		m.kill()
		t.Fatal(err)
	}
}

func (m *mounted) unmount() error {
	if out, err := m.place.pailfs("umount", m.dir); err != nil {
		return fmt.Errorf("pailfs umount: %w\n%s", err, out)
	}
	code, err := m.wait(time.Minute)
	switch {
	case err != nil:
		return err
	case code != 0:
		return fmt.Errorf("the daemon of %s ended with code %d after umount said all is well", m.dir, code)
	case len(mountsBelow(m.dir)) > 0:
		return fmt.Errorf("%s is still mounted after umount", m.dir)
	}
	return nil
}

// kill ends the daemon with SIGKILL and takes its mount away.
func (m *mounted) kill() {
	if m.pid != 0 {
		unix.Kill(m.pid, unix.SIGKILL)
		if _, err := m.wait(time.Minute); err != nil {
			fmt.Fprintln(os.Stderr, "integration:", err)
		}
	}
	m.detach()
}

func (m *mounted) detach() {
	for len(mountsBelow(m.dir)) > 0 {
		if unix.Unmount(m.dir, unix.MNT_DETACH) != nil {
			break
		}
	}
}

// wait waits for the daemon to end and returns its exit code, or minus the
// signal it died of.
func (m *mounted) wait(limit time.Duration) (int, error) {
	fd, err := unix.PidfdOpen(m.pid, 0)
	if err != nil {
		return 0, fmt.Errorf("daemon %d: %w", m.pid, err)
	}
	defer unix.Close(fd)
	end := time.Now().Add(limit)
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(time.Until(end).Milliseconds()))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if n == 1 {
			break
		}
		return 0, fmt.Errorf("daemon %d still runs", m.pid)
	}
	m.timer.Stop()
	var status unix.WaitStatus
	if _, err := unix.Wait4(m.pid, &status, 0, nil); err != nil {
		return 0, fmt.Errorf("daemon %d: %w", m.pid, err)
	}
	m.pid = 0
	if status.Signaled() {
		return -int(status.Signal()), nil
	}
	return status.ExitStatus(), nil
}

func (m *mounted) logTail() string {
	text, _ := os.ReadFile(m.log)
	var log strings.Builder
	for line := range strings.Lines(string(text)) {
		if !strings.Contains(line, "trySplice") { // go-fuse's own, many
			log.WriteString(line)
		}
	}
	return tail(log.String(), 80)
}

// peakMemory is the most resident memory the daemon ever had, in bytes.
func (m *mounted) peakMemory() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmHWM:" {
			kib, err := strconv.ParseInt(f[1], 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("no VmHWM")
}

// processesNaming are the live processes with arg among their arguments.
func processesNaming(arg string) []int {
	var pids []int
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		line, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err != nil {
			continue
		}
		for a := range bytes.SplitSeq(line, []byte{0}) {
			if string(a) == arg {
				pids = append(pids, pid)
				break
			}
		}
	}
	return pids
}

// mountsBelow are the mount points at or below a directory.
func mountsBelow(dir string) []string {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	defer f.Close()
	var found []string
	for s := bufio.NewScanner(f); s.Scan(); {
		if fields := strings.Fields(s.Text()); len(fields) > 4 {
			if at := fields[4]; at == dir || strings.HasPrefix(at, dir+"/") {
				found = append(found, at)
			}
		}
	}
	return found
}
