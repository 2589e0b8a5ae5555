package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// startSoon runs start in the background and returns what waits for its end.
func (m *mounted) startSoon(flags ...string) (wait func() (string, error)) {
	type end struct {
		out string
		err error
	}
	ended := make(chan end, 1)
	go func() {
		out, err := m.start(flags...)
		ended <- end{out, err}
	}()
	return func() (string, error) {
		e := <-ended
		return e.out, e.err
	}
}

// logs waits until the log of the mount says something.
func (m *mounted) logs(t testing.TB, what string) {
	t.Helper()
	for limit := time.Now().Add(commandLimit); ; time.Sleep(20 * time.Millisecond) {
		text, _ := os.ReadFile(m.log)
		if strings.Contains(string(text), what) {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("the log never said %q:\n%s", what, text)
		}
	}
}

func profile(key, secret string) string {
	return fmt.Sprintf("[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", key, secret)
}

// TestBootWaits: an fstab entry is mounted although network or credentials come
// later; what is wrong for good fails at once.
func TestBootWaits(t *testing.T) {
	t.Run("network", func(t *testing.T) {
		t.Parallel()
		p := newPlace(t, "s3")
		g := newGate(t, strings.TrimPrefix(p.bucket.endpoint.URL, "http://"))
		p.source = p.bucket.source("http://" + g.listener.Addr().String())
		g.close()
		m := p.prepare(t)
		wait := m.startSoon("-o", "_netdev,connect-timeout=3s")
		m.logs(t, "trying again")
		g.open()
		if out, err := wait(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		check(t, os.WriteFile(filepath.Join(m.dir, "f"), []byte("x"), 0o644))
		m.umount(t)
	})
	t.Run("credentials", func(t *testing.T) {
		t.Parallel()
		p := newPlace(t, "s3")
		file := filepath.Join(tempDir(t), "credentials")
		p.env = []string{"AWS_SHARED_CREDENTIALS_FILE=" + file}
		m := p.prepare(t)
		wait := m.startSoon("--mount-timeout=1m")
		m.logs(t, "no credentials")
		check(t, os.WriteFile(file, []byte(profile(p.bucket.endpoint.AccessKey, p.bucket.endpoint.SecretKey)), 0o600))
		if out, err := wait(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		m.umount(t)
	})
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		p := newPlace(t, "s3")
		p.env = append(p.env, "AWS_SECRET_ACCESS_KEY=wrong")
		m := p.prepare(t)
		out, err := m.start("-o", "_netdev,mount-timeout=1h")
		if err == nil || strings.Count(out, "\n") != 1 || !strings.Contains(out, "refused") {
			t.Errorf("%v: %s", err, out)
		}
		if text, _ := os.ReadFile(m.log); strings.Contains(string(text), "trying again") {
			t.Errorf("it tried again:\n%s", text)
		}
	})
	t.Run("over", func(t *testing.T) {
		t.Parallel()
		p := newPlace(t, "s3")
		p.source = p.bucket.source("http://127.0.0.1:1")
		m := p.prepare(t)
		out, err := m.start("--connect-timeout=2s", "--mount-timeout=4s")
		if err == nil || strings.Count(out, "\n") != 1 || !strings.Contains(out, "127.0.0.1:1") {
			t.Errorf("%v: %s", err, out)
		}
		m.logs(t, "trying again")
	})
}

// TestNoNetwork: in a network namespace without any network, mounting fails
// fast and says why.
func TestNoNetwork(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("only root makes network namespaces")
		}
		t.Skip("only root makes network namespaces")
	}
	need(t, "unshare")
	t.Parallel()
	p := newPlace(t, "s3")
	m := p.prepare(t)
	bin, err := binary()
	check(t, err)
	cmd := exec.Command("unshare", "--net", bin, "mount", "--state-dir", p.state, "--run-dir", filepath.Join(runDir, "run"), p.source, m.dir)
	cmd.Env = append([]string{"PATH=/usr/bin:/bin", "AWS_EC2_METADATA_DISABLED=true"}, p.env...)
	begun := time.Now()
	out, err := cmd.CombinedOutput()
	if err == nil || strings.Count(string(out), "\n") != 1 || !strings.Contains(string(out), "the endpoint does not answer") {
		t.Errorf("%v: %s", err, out)
	}
	if took := time.Since(begun); took > 30*time.Second {
		t.Errorf("it took %s", took)
	}
}
