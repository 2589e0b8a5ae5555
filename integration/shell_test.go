package integration

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// commandLimit is the longest any one command or script may take.
const commandLimit = 3 * time.Minute

// prelude is put before every script: where it failed, and what checks use.
const prelude = `cd -- "$0"
shopt -s inherit_errexit
trap 'echo "failed at line $((LINENO-11)): $BASH_COMMAND" >&2' ERR
fail() { echo "failed: $*" >&2; exit 1; }
# same FILE FILE...: all have the bytes of the first.
same() { local a=$1; shift; for f; do cmp "$a" "$f"; done; }
# is WANT GOT [WHAT]
is() { [ "$1" = "$2" ] || fail "${3:-value} is $2, not $1"; }
# errs COMMAND...: the command fails.
errs() { if "$@" 2>/dev/null; then fail "succeeded: $*"; fi; }

`

// shell runs bash scripts in one directory.
type shell struct {
	dir string
	env []string
}

// try runs a script and returns what it printed, stdout and stderr together. Bash
// itself goes to the directory: this process would do it between fork and exec,
// when it may not run, and could not answer as the server or the proxy that the
// mount asks.
func (s shell) try(script string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
	defer cancel()
	var out bytes.Buffer
	cmd := command(ctx, "bash", "-Eeuo", "pipefail", "-c", prelude+script, s.dir)
	cmd.Env = s.env
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if ctx.Err() != nil {
		err = errors.Join(err, ctx.Err())
	}
	return out.String(), err
}

// run is try that fails the test.
func (s shell) run(t testing.TB, script string) string {
	t.Helper()
	out, err := s.try(script)
	if err != nil {
		t.Fatalf("script: %v\n%s\n--- script:\n%s", err, tail(out, 60), strings.TrimSpace(script))
	}
	return out
}

// command makes a command in a process group of its own, all of which is
// killed when ctx ends.
func command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// environ is what scripts see: nothing of the user's own settings.
func environ(scratch string, more ...string) []string {
	env := []string{
		"HOME=" + scratch, "T=" + scratch, "TMPDIR=" + scratch, "SRC=" + sourceTree(),
		"LC_ALL=C.UTF-8", "TZ=UTC", "USER=root", "LOGNAME=root", "TERM=dumb",
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"GIT_CONFIG_NOSYSTEM=1", "EMAIL=suite@example.org", "GIT_AUTHOR_NAME=suite", "GIT_COMMITTER_NAME=suite",
	}
	if ci := os.Getenv("CI"); ci != "" {
		env = append(env, "CI="+ci)
	}
	return append(env, more...)
}

// tail is the last n lines of a text.
func tail(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if len(lines) > n {
		lines = append([]string{"..."}, lines[len(lines)-n:]...)
	}
	return strings.Join(lines, "\n")
}
