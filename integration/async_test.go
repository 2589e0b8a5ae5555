package integration

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pailfs/pailfs/integration/bench/shapedproxy"
	"github.com/pailfs/pailfs/integration/servers"
	"golang.org/x/sys/unix"
)

// smallFiles makes n files of 10 KiB in a directory, 100 to a subdirectory.
func smallFiles(t testing.TB, n int) (dir string) {
	t.Helper()
	dir = tempDir(t)
	for i := range n {
		sub := filepath.Join(dir, strconv.Itoa(i/100))
		check(t, os.MkdirAll(sub, 0o755))
		check(t, os.WriteFile(filepath.Join(sub, strconv.Itoa(i)), smallFile(i), 0o644))
	}
	return dir
}

func smallFile(i int) []byte { return noise(uint64(i), 10<<10) }

// hasSmallFiles compares the objects below prefix with what smallFiles made.
func (p *place) hasSmallFiles(t testing.TB, prefix string, n int) {
	t.Helper()
	for i := range n {
		p.holds(t, fmt.Sprintf("%s/%d/%d", prefix, i/100, i), smallFile(i), "after umount")
	}
}

// farS3 is a bucket on an S3 server 30 ms away.
func farS3(t testing.TB) *place {
	t.Helper()
	ep := servers.S3(t)
	proxy, err := shapedproxy.Start(strings.TrimPrefix(ep.URL, "http://"), shapedproxy.Shape{Latency: 30 * time.Millisecond}, slog.New(slog.DiscardHandler))
	check(t, err)
	t.Cleanup(func() { proxy.Close() })
	p := newPlace(t, "s3")
	p.source = p.bucket.source("http://" + proxy.Addr())
	return p
}

// TestAsyncIsFast: `cp -r` of small files to a bucket 30 ms away. It prints how
// much sooner it ends with --commit=async than without; with PAILFS_ASYNC_FILES=10000
// it is the measurement of docs/performance.md.
func TestAsyncIsFast(t *testing.T) {
	t.Parallel()
	n := int(setting(t, "PAILFS_ASYNC_FILES", 300))
	of := map[string]int{"async": n, "close": min(n, 1000)}
	took := map[string]time.Duration{}
	for mode, n := range of {
		p := farS3(t)
		src := smallFiles(t, n)
		m := p.mount(t, "--commit="+mode)
		s := shell{dir: m.dir, env: environ(tempDir(t))}
		begun := time.Now()
		s.run(t, "cp -r "+src+" all")
		took[mode] = time.Since(begun)
		m.umount(t)
		t.Logf("%s: cp -r of %d files took %s, until all was in the bucket %s", mode, n, took[mode], time.Since(begun))
		p.hasSmallFiles(t, "all", n)
		p.leftovers(t)
	}
	each := func(mode string) float64 { return took[mode].Seconds() / float64(of[mode]) }
	ratio := each("close") / each("async")
	t.Logf("a file takes %.1f ms with close and %.2f ms with async: %.0f times less", 1000*each("close"), 1000*each("async"), ratio)
	if ratio < 2 {
		t.Errorf("async is %.1f times as fast", ratio)
	}
}

// TestAsyncKilled: pailfs is killed in the middle of `cp -r`. What was closed is in
// the bucket, whole, after the next mount.
func TestAsyncKilled(t *testing.T) {
	t.Parallel()
	const n = 400
	p := farS3(t)
	m := p.mount(t, "--commit=async")
	closed := 0
	var err error
	for i := 0; i < n && err == nil; i++ {
		if i == n/2 {
			check(t, unix.Kill(m.pid, unix.SIGKILL))
		}
		if err = os.WriteFile(filepath.Join(m.dir, strconv.Itoa(i)), smallFile(i), 0o644); err == nil {
			closed++
		}
	}
	if err == nil || closed < n/2 {
		t.Fatalf("%d files were closed, then: %v", closed, err)
	}
	m.kill()
	again := p.mount(t) // also without the option
	for i := range closed {
		got, err := os.ReadFile(filepath.Join(again.dir, strconv.Itoa(i)))
		check(t, err)
		if string(got) != string(smallFile(i)) {
			t.Errorf("file %d: %s", i, differ(smallFile(i), got))
		}
	}
	again.umount(t)
	for i := range closed {
		p.holds(t, strconv.Itoa(i), smallFile(i), "after the next mount")
	}
	if o := p.objects(t); len(o) > closed+1 {
		t.Errorf("%d objects of %d files", len(o), closed)
	}
	p.leftovers(t)
}

// TestAsyncRefused: a store that refuses what was closed. The mount says so in every
// place, umount fails and says where the bytes are, and the next mount sends them.
func TestAsyncRefused(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "s3")
	proxy := newFaultProxy(t, p.bucket.endpoint.URL)
	p.source = p.bucket.source("http://" + proxy.addr)
	m := p.mount(t, "--commit=async")
	at := filepath.Join(m.dir, "f")
	proxy.begin(func(w http.ResponseWriter, r *http.Request, pass http.Handler, lifted <-chan struct{}) {
		if r.Method == http.MethodPut {
			faultStatus(http.StatusForbidden, "AccessDenied")(w, r, pass, lifted)
			return
		}
		pass.ServeHTTP(w, r)
	})
	check(t, os.WriteFile(at, []byte("mine"), 0o644))
	await(t, "the failure to be told", func() bool {
		state := make([]byte, 1000)
		n, err := unix.Getxattr(at, "user.pailfs.state", state)
		return err == nil && strings.HasPrefix(string(state[:n]), "failed: ")
	})
	if out, err := p.pailfs("status", m.dir); err == nil || !strings.Contains(out, "on the local disk") || !strings.Contains(out, "  f ") {
		t.Errorf("status: %v\n%s", err, out)
	}
	f, err := os.Open(at)
	check(t, err)
	if err := f.Sync(); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("fsync: %v", err)
	}
	f.Close()
	out, err := p.pailfs("umount", m.dir)
	if err == nil || !strings.Contains(out, p.state) {
		t.Errorf("umount: %v\n%s", err, out)
	}
	if code, err := m.wait(time.Minute); err != nil || code != 3 {
		t.Errorf("the daemon ended with %d, %v", code, err)
	}
	_, kept, _ := strings.Cut(out, "kept under ")
	kept, _, _ = strings.Cut(kept, "\n")
	if got, err := os.ReadFile(kept); err != nil || string(got) != "mine" {
		t.Errorf("%q holds %q, %v", kept, got, err)
	}
	for _, name := range []string{kept, filepath.Dir(kept), filepath.Dir(filepath.Dir(kept))} {
		if st, err := os.Stat(name); err != nil || st.Mode()&0o077 != 0 {
			t.Errorf("%s may be read by others: %v, %v", name, st, err)
		}
	}
	proxy.lift(t)
	p.mount(t).umount(t)
	p.holds(t, "f", []byte("mine"), "after the next mount")
	if _, err := os.Stat(kept); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is still there: %v", kept, err)
	}
}
