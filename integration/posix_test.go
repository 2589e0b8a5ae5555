package integration

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hanwen/go-fuse/v2/posixtest"
)

// posixFails are the tests of posixtest that must fail, and why.
var posixFails = map[string]struct {
	onPlain, onMount bool
	reason           string
}{
	"Link":             {false, true, "hard links fail with EPERM: a key is one object, and an object has one key"},
	"LinkUnlinkRename": {false, true, "hard links fail with EPERM"},
	"FcntlFlockLocksFile": {true, true, "it asks for a conflict between two locks of one process, " +
		"which fcntl(2) never has: such locks belong to the process"},
}

// notOnPlain asks for a file system other than that of /etc.
const notOnPlain = "OpenSymlinkRace"

const (
	posixNameEnv = "PAILFS_TEST_POSIX_NAME"
	posixDirEnv  = "PAILFS_TEST_POSIX_DIR"
)

// posixChild runs one test of posixtest in this process, if TestPosix started
// it for that, and does not return: a test that hangs can be killed, one that
// must fail may fail.
func posixChild() {
	name := os.Getenv(posixNameEnv)
	if name == "" {
		return
	}
	all := func(_, _ string) (bool, error) { return true, nil }
	testing.Main(all, []testing.InternalTest{{
		Name: name, F: func(t *testing.T) { posixtest.All[name](t, os.Getenv(posixDirEnv)) },
	}}, nil, nil)
}

// TestPosix runs the tests of go-fuse's posixtest on a mount.
func TestPosix(t *testing.T) {
	self, err := os.Executable()
	check(t, err)
	onTargets(t, func(t *testing.T, p *place) {
		m := p.mount(t)
		for _, name := range slices.Sorted(maps.Keys(posixtest.All)) {
			if name == notOnPlain && p.kind == "plain" {
				continue
			}
			t.Run(name, func(t *testing.T) {
				dir := filepath.Join(m.dir, name)
				check(t, os.Mkdir(dir, 0o755))
				ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
				defer cancel()
				cmd := command(ctx, self, "-test.v")
				cmd.Dir = t.TempDir()
				cmd.Env = append(os.Environ(), posixNameEnv+"="+name, posixDirEnv+"="+dir)
				out, err := cmd.CombinedOutput()
				fails := posixFails[name]
				mustFail, reason := fails.onMount, fails.reason
				if p.kind == "plain" {
					mustFail = fails.onPlain
				}
				if !strings.Contains(string(out), "=== RUN") {
					t.Fatalf("the test did not run: %v\n%s", err, out)
				}
				switch {
				case err != nil && !mustFail:
					t.Errorf("%v\n%s", err, tail(string(out), 40))
				case err == nil && mustFail:
					t.Errorf("passed, although %s", reason)
				case mustFail:
					t.Logf("fails, because %s", reason)
				}
			})
		}
		if p.kind != "plain" {
			if fds, err := openFiles(m.pid); err != nil || fds > 100 {
				t.Errorf("the server has %d files open at the end (%v)", fds, err)
			}
		}
		m.umount(t)
	}, allTargets...)
}

// openFiles is how many descriptors a process has.
func openFiles(pid int) (int, error) {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	return len(entries), err
}
