package integration

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pailfs/pailfs/integration/servers"
)

// A page whose blocks begin with ```console is one session of one shell. It
// holds commands behind "$ ", which may go on behind a backslash or "> ", each
// with what it prints below it: nothing means that it prints nothing. "..."
// stands for any text, alone in a line for any lines. A command whose output
// begins with its own name and a colon fails, but for a warning; all others
// succeed.
const session = "```console"

// step is one command of a page.
type step struct {
	line    int // of the page
	command string
	want    []string // what it prints
}

func (s step) fails() bool {
	program, _, _ := strings.Cut(s.command, " ")
	return len(s.want) > 0 && strings.HasPrefix(s.want[0], program+": ") && !strings.HasPrefix(s.want[0], program+": warning:")
}

// steps reads the commands of a page.
func steps(text string) []step {
	var all []step
	inside, more := false, false
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSuffix(line, "\n")
		switch {
		case !inside:
			inside = line == session
		case line == "```":
			inside, more = false, false
		case more || line == ">" || strings.HasPrefix(line, "> "):
			last := &all[len(all)-1]
			if rest, ok := strings.CutPrefix(line, ">"); ok {
				line = strings.TrimPrefix(rest, " ")
			}
			last.command += "\n" + line
			more = strings.HasSuffix(line, `\`)
		case strings.HasPrefix(line, "$ "):
			all = append(all, step{line: n, command: line[2:]})
			more = strings.HasSuffix(line, `\`)
		case len(all) > 0:
			last := &all[len(all)-1]
			last.want = append(last.want, line)
		}
	}
	return all
}

// runSession runs the commands of a page and compares what they print.
func runSession(t *testing.T, name string, s stage, text string) {
	bin, err := binary()
	check(t, err)
	dir := s.home
	for _, d := range []string{"bin", "out"} {
		check(t, os.Mkdir(filepath.Join(dir, d), 0o755))
	}
	check(t, os.Symlink(bin, filepath.Join(dir, "bin", "pailfs")))
	t.Cleanup(func() { leaveNoMount(t, dir) })
	here := strings.NewReplacer(s.replace...)
	all := steps(text)
	var script strings.Builder
	for i, c := range all {
		// A group keeps what a command sets, and its output apart.
		fmt.Fprintf(&script, "{\n%s\n} >%s/out/%d 2>&1 </dev/null\necho $? >%[2]s/out/%[3]d.code\n", here.Replace(c.command), dir, i)
	}
	ctx, cancel := context.WithTimeout(t.Context(), commandLimit)
	defer cancel()
	cmd := command(ctx, "bash", "-c", script.String())
	cmd.Dir = dir
	cmd.Env = append([]string{
		"PATH=" + filepath.Join(dir, "bin") + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=" + dir, "PAILFS_STATE_DIR=" + filepath.Join(dir, "state"), "PAILFS_RUN_DIR=" + filepath.Join(dir, "run"),
		"LC_ALL=C.UTF-8", "TZ=UTC", "AWS_EC2_METADATA_DISABLED=true", "GCE_METADATA_HOST=127.0.0.1:1",
	}, s.env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("the shell: %v\n%s", err, out)
	}
	if syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) == nil {
		t.Error("a command is left in the background")
	}
	for i, c := range all {
		file := filepath.Join(dir, "out", fmt.Sprint(i))
		code, err := os.ReadFile(file + ".code")
		check(t, err)
		printed, err := os.ReadFile(file)
		check(t, err)
		want := here.Replace(strings.Join(c.want, "\n"))
		if failed := string(code) != "0\n"; failed != c.fails() || !matches(want, string(printed)) {
			t.Errorf("%s:%d: %s\ncode %sprinted:\n%s\nnot what the page says:\n%s", name, c.line, c.command, code, printed, want)
		}
	}
}

// leaveNoMount ends what a page has left mounted, which is a mistake of it.
func leaveNoMount(t *testing.T, dir string) {
	for _, at := range mountsBelow(dir) {
		t.Errorf("left mounted: %s", at)
		for _, pid := range processesNaming(at) {
			m := &mounted{dir: at, pid: pid, timer: time.NewTimer(0)}
			m.kill()
		}
		(&mounted{dir: at}).detach()
	}
}

// matches says whether a command printed what the page says.
func matches(want, printed string) bool {
	var pattern strings.Builder
	pattern.WriteString("^")
	for line := range strings.Lines(want) {
		switch line = strings.TrimSuffix(line, "\n"); line {
		case "...":
			pattern.WriteString("(.*\n)*")
		default:
			parts := strings.Split(line, "...")
			for i := range parts {
				parts[i] = regexp.QuoteMeta(parts[i])
			}
			pattern.WriteString(strings.Join(parts, ".*") + " *\n")
		}
	}
	pattern.WriteString("$")
	return regexp.MustCompile(pattern.String()).MatchString(printed)
}

// TestSessionsAreRead: what counts as a command, and what matches.
func TestSessionsAreRead(t *testing.T) {
	all := steps("x\n```console\n$ a \\\n  b\none\n...\n$ c\n> d\n```\n$ no\n```\n$ no\n```\n")
	if len(all) != 2 || all[0].command != "a \\\n  b" || strings.Join(all[0].want, "|") != "one|..." || all[1].command != "c\nd" || all[1].want != nil || all[1].line != 7 {
		t.Errorf("%+v", all)
	}
	for _, c := range []struct {
		want, printed string
		same          bool
	}{
		{"", "", true}, {"", "x\n", false}, {"a", "a\n", true}, {"a", "b\n", false}, {"a...c", "abbc\n", true}, {"a.c", "abc\n", false},
		{"a\n...\nb", "a\nx\ny\nb\n", true}, {"a\n...", "a\n", true}, {"a", "a\nb\n", false},
	} {
		if matches(c.want, c.printed) != c.same {
			t.Errorf("%q against %q: not %v", c.printed, c.want, c.same)
		}
	}
}

// homeStage makes directories that a page names.
func homeStage(t *testing.T, names ...string) stage {
	t.Helper()
	s := stage{home: tempDir(t)}
	s.replace = []string{"~/", s.home + "/"}
	for _, name := range names {
		here := filepath.Join(s.home, name)
		check(t, os.MkdirAll(here, 0o755))
		s.replace = append(s.replace, name, here)
	}
	return s
}

func directoryStage(t *testing.T) stage { return homeStage(t, "/mnt/backups", "/srv/backups") }

// s3Stage has the buckets of the page on a server that stands for Amazon S3,
// and its access keys in the places of those of Amazon's own examples.
func s3Stage(t *testing.T) stage {
	ep := servers.S3(t)
	s := homeStage(t, "/mnt/backups", "/srv/s3")
	gateway, err := servers.Versitygw()
	check(t, err)
	own, err := servers.FreePort()
	check(t, err)
	backups, archive := servers.Bucket(t, ep), servers.Bucket(t, ep)
	s.env = []string{"AWS_ENDPOINT_URL=" + ep.URL}
	s.replace = append(s.replace,
		"s3://backups", "s3://"+backups, "@backups", "@"+backups, "s3://archive", "s3://"+archive, "s3://new-bucket", "s3://"+backups+"-new",
		"AKIAIOSFODNN7EXAMPLE", ep.AccessKey,
		"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ep.SecretKey, "wJalrXUtnFEMI%2FK7MDENG%2FbPxRfiCYEXAMPLEKEY", ep.SecretKey,
		"go run github.com/versity/versitygw/cmd/versitygw@v1.8.0", gateway, "127.0.0.1:7070", own)
	return s
}
