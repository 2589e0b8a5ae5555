package integration

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pailfs/pailfs/integration/servers"
)

// TestSecrets gives the credentials outright, in every way there is: they work,
// one warning is said, and nothing that pailfs says or shows has them.
func TestSecrets(t *testing.T) {
	s3Keys := func(give func(p *place, id, secret string) []string) func(*testing.T, *place) ([]string, string) {
		return func(_ *testing.T, p *place) ([]string, string) {
			ep := p.bucket.endpoint
			p.env = servers.Endpoint{}.Env() // no credentials
			return give(p, ep.AccessKey, ep.SecretKey), ep.SecretKey
		}
	}
	for _, c := range []struct {
		name, kind string
		// give changes the place, and returns flags and the secret.
		give  func(*testing.T, *place) ([]string, string)
		quiet bool // nobody else could read it: no warning
	}{
		{name: "user of the URL", kind: "s3", give: s3Keys(func(p *place, id, secret string) []string {
			p.source = strings.Replace(p.source, "s3://", "s3://"+id+":"+secret+"@", 1)
			return nil
		})},
		{name: "parameters of the URL", kind: "s3", give: s3Keys(func(p *place, id, secret string) []string {
			p.source += "&AWS_ACCESS_KEY_ID=" + id + "&AWS_SECRET_ACCESS_KEY=" + secret
			return nil
		})},
		{name: "flags", kind: "s3", give: s3Keys(func(_ *place, id, secret string) []string {
			return []string{"--access-key-id", id, "--secret-access-key=" + secret}
		})},
		{name: "mount options", kind: "s3", give: s3Keys(func(_ *place, id, secret string) []string {
			return []string{"-o", "rw,access_key_id=" + id + ",secret_access_key=" + secret + ",_netdev"}
		})},
		{name: "environment", kind: "s3", quiet: true, give: s3Keys(func(p *place, id, secret string) []string {
			p.env = append(p.env, "PAILFS_ACCESS_KEY_ID="+id, "PAILFS_SECRET_ACCESS_KEY="+secret)
			return nil
		})},
		{name: "account key", kind: "azure", give: func(t *testing.T, p *place) ([]string, string) {
			ep := servers.Azure(t)
			p.source += "&account=" + ep.Account + "&key=" + url.QueryEscape(ep.Key)
			return nil, ep.Key[:40]
		}},
		{name: "connection string", kind: "azure", give: func(t *testing.T, p *place) ([]string, string) {
			ep := servers.Azure(t)
			p.source, _, _ = strings.Cut(p.source, "?")
			return []string{"--connection-string=AccountName=" + ep.Account + ";AccountKey=" + ep.Key + ";BlobEndpoint=" + ep.URL}, ep.Key[:40]
		}},
		{name: "key of a service account", kind: "gcs", give: func(t *testing.T, p *place) ([]string, string) {
			text, err := os.ReadFile(serviceAccountKey(t))
			check(t, err)
			_, key, _ := strings.Cut(string(text), `PRIVATE KEY-----\n`)
			return []string{"--credentials", string(text)}, key[:40]
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			slots <- struct{}{}
			defer func() { <-slots }()
			p := newPlace(t, c.kind)
			source, env := p.source, p.env
			flags, secret := c.give(t, p)
			m := p.prepare(t)
			out, err := m.start(append(flags, "--debug")...)
			if err != nil {
				t.Fatalf("%v\n%s%s", err, out, m.logTail())
			}
			if warned := strings.Count(out, "warning:"); warned != 1 && !c.quiet || warned != 0 && c.quiet {
				t.Errorf("%d warnings: %q", warned, out)
			}
			check(t, os.WriteFile(filepath.Join(m.dir, "f"), []byte("text"), 0o644))
			p.source, p.env = source, env // as the test itself reaches it
			p.holds(t, "f", []byte("text"), "after close")

			look := looking{t, secret}
			look.at("what mount said", []byte(out))
			look.atProcess(m.pid)
			look.atFile("/proc/mounts")
			look.atFile("/proc/self/mountinfo")
			said, err := p.pailfs("status", m.dir)
			if err != nil || said == "" {
				t.Errorf("status: %v: %s", err, said)
			}
			look.at("status", []byte(said))

			busy, err := os.Create(filepath.Join(m.dir, "busy"))
			check(t, err)
			said, err = p.pailfs("umount", m.dir)
			if err == nil {
				t.Error("unmounted with a file open")
			}
			look.at("what umount said", []byte(said))
			check(t, busy.Close())
			m.umount(t)
			look.atFile(m.log)
			look.below(p.state)
			look.below(filepath.Join(runDir, "run"))
		})
	}
}

// TestSecretsWhileMounting looks at the processes while the mount waits for a
// server that says nothing, and at the error in the end.
func TestSecretsWhileMounting(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer silent.Close()
	const secret = "S3KR1T-while-mounting"
	p := newPlace(t, "file")
	p.source = "s3://KEY:" + secret + "@bucket?region=r&endpoint=http://" + silent.Addr().String()
	m := p.prepare(t)
	type result struct {
		out string
		err error
	}
	ended := make(chan result, 1)
	go func() {
		out, err := p.pailfs("mount", "--connect-timeout=5s", "--log-file", m.log, "--session-token", secret, p.source, m.dir)
		ended <- result{out, err}
	}()
	// Two processes: the one that was started, and its server.
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var pids []int
	for pids = clean(m.dir, secret); len(pids) < 2; pids = clean(m.dir, secret) {
		select {
		case r := <-ended:
			t.Fatalf("mount ended before both processes were seen without the secret: %v, %v: %s", pids, r.err, r.out)
		case <-ctx.Done():
			t.Fatalf("processes without the secret: %v", pids)
		case <-time.After(5 * time.Millisecond):
		}
	}
	look := looking{t, secret}
	for _, pid := range pids {
		look.atProcess(pid)
	}
	r := <-ended
	if r.err == nil || strings.Count(r.out, "\n") != 2 || !strings.Contains(r.out, "no answer within 5s") {
		t.Errorf("%v: %q", r.err, r.out)
	}
	look.at("what mount said", []byte(r.out))
	look.below(filepath.Dir(m.log))
}

// TestSecretsInErrors: neither a mistake nor a refusal repeats a secret.
func TestSecretsInErrors(t *testing.T) {
	const secret = "S3KR1T-in-errors"
	p := newPlace(t, "s3")
	p.env = servers.Endpoint{}.Env()
	good := p.source
	for name, args := range map[string][]string{
		"refused":           {good + "&access-key-id=nobody&secret-access-key=" + secret},
		"unknown parameter": {good + "&seret=" + secret},
		"unknown option":    {"-o", "secret-acess-key=" + secret, good},
		"unknown flag":      {"--secret-acess-key=" + secret, good},
		"twice":             {"--secret-access-key=" + secret, strings.Replace(good, "s3://", "s3://a:"+secret+"x@", 1)},
		"no secret":         {"--secret-access-key=" + secret, good},
		"gs":                {"gs://u:" + secret + "@b"},
		"gs credentials":    {`--credentials={"type":"service_account","private_key":"` + secret + `"}`, "gs://b"},
		"broken URL":        {"s3://a:" + secret + "@%zz"},
		"user alone":        {"s3://" + secret + "@b"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := p.prepare(t)
			out, err := p.pailfs(append(append([]string{"mount", "--connect-timeout=5s", "--log-file", m.log}, args...), m.dir)...)
			if err == nil {
				t.Error("mounted")
			}
			t.Log(out)
			look := looking{t, secret}
			look.at("what mount said", []byte(out))
			look.below(filepath.Dir(m.log))
		})
	}
}

// clean are the processes naming arg that do not show a secret.
func clean(arg, secret string) []int {
	var pids []int
	for _, pid := range processesNaming(arg) {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err == nil && !bytes.Contains(line, []byte(secret)) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// looking finds a secret where it must not be.
type looking struct {
	*testing.T
	secret string
}

func (l looking) at(what string, text []byte) {
	l.Helper()
	if i := bytes.Index(text, []byte(l.secret)); i >= 0 {
		l.Errorf("%s shows the secret: %.200q", what, text[max(0, i-100):])
	}
}

func (l looking) atFile(name string) {
	l.Helper()
	text, err := os.ReadFile(name)
	if err != nil || len(text) == 0 {
		l.Errorf("%s: %d bytes, %v", name, len(text), err)
	}
	l.at(name, text)
}

// holdsArguments says whether a process has the file open from which it reads
// its true arguments.
func holdsArguments(dir string) bool {
	open, _ := filepath.Glob(filepath.Join(dir, "fd", "*"))
	for _, fd := range open {
		if name, _ := os.Readlink(fd); strings.Contains(name, "memfd:arguments") {
			return true
		}
	}
	return false
}

// atProcess looks at a process, its children, and their open files.
func (l looking) atProcess(pid int) {
	l.Helper()
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	l.atFile(filepath.Join(dir, "cmdline"))
	l.atFile(filepath.Join(dir, "environ"))
	await(l, fmt.Sprintf("process %d to close its arguments", pid), func() bool { return !holdsArguments(dir) })
	children, _ := os.ReadFile(filepath.Join(dir, "task", strconv.Itoa(pid), "children"))
	for child := range strings.FieldsSeq(string(children)) {
		if n, err := strconv.Atoi(child); err == nil {
			l.atProcess(n)
		}
	}
}

// below looks at every regular file below a directory.
func (l looking) below(dir string) {
	l.Helper()
	check(l, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil // other mounts come and go in the run directory
		}
		if text, err := os.ReadFile(path); err == nil {
			l.at(path, text)
		}
		return nil
	}))
}

// TestSecretsOfOtherCommands: those that take URLs hide their arguments too.
func TestSecretsOfOtherCommands(t *testing.T) {
	const secret = "S3KR1T-in-a-URL"
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer silent.Close()
	bin, err := binary()
	check(t, err)
	source := "s3://KEY:" + secret + "@bucket/?region=r&endpoint=http://" + silent.Addr().String()
	for _, args := range [][]string{{"ls", source}, {"du", source}, {"cp", source, tempDir(t)}, {"rm", "-r", source}} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		var out bytes.Buffer
		cmd := command(ctx, bin, args...)
		cmd.Env = servers.Endpoint{}.Env()
		cmd.Stdout, cmd.Stderr = &out, &out
		check(t, cmd.Start())
		look := looking{t, secret}
		for {
			line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", cmd.Process.Pid))
			if err != nil || ctx.Err() != nil {
				t.Fatalf("%s: its arguments show the secret to the end: %v", args[0], err)
			}
			if bytes.Contains(line, []byte("xxxxx@bucket")) && !bytes.Contains(line, []byte(secret)) {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		look.atProcess(cmd.Process.Pid)
		cancel()
		if err := cmd.Wait(); err == nil {
			t.Errorf("%s: no error", args[0])
		}
		look.at("what "+args[0]+" said", out.Bytes())
		if strings.Count(out.String(), "warning:") != 1 {
			t.Errorf("%s: %s", args[0], out.String())
		}
	}
}
