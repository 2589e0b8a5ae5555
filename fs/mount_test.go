package fs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pailfs/pailfs/cache"
	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/memstore"
)

// mounted is a file system over a store in memory. The test's own process never
// touches it: programs do.
type mounted struct {
	*testing.T
	dir    string
	store  objstore.Store
	server *Server
	log    *safeLog
	pipe   string
}

func mountStore(t *testing.T, opt Options) *mounted {
	t.Helper()
	if _, err := os.Stat("/dev/fuse"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	if opt.Store == nil {
		opt.Store = memstore.New(memstore.Options{})
	}
	m := &mounted{T: t, dir: t.TempDir(), store: opt.Store, log: &safeLog{}}
	opt.Log = slog.New(slog.NewTextHandler(m.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	opt.FsName = "test"
	if opt.Cache == nil {
		opt.Cache = testCache(t)
	}
	opt.Writeback = true
	if opt.AttrTTL == 0 {
		opt.AttrTTL = time.Second
	}
	s, err := Mount(m.dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	m.server = s
	t.Cleanup(func() {
		if err := s.Unmount(); err != nil {
			t.Errorf("unmount: %v", err)
			syscall.Unmount(m.dir, syscall.MNT_DETACH|syscall.MNT_FORCE)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		s.Drain(ctx)
		if t.Failed() {
			t.Logf("log of the mount:\n%s", m.log)
		}
	})
	return m
}

// testCache gives the cache that PAILFS_TEST_CACHE says: all tests must pass with
// one that keeps nothing, and with one that has room for one block.
func testCache(t *testing.T) *cache.Cache {
	t.Helper()
	var opt cache.Options
	switch v := os.Getenv("PAILFS_TEST_CACHE"); v {
	case "":
		opt = cache.Options{Memory: 16 << 20, Dir: t.TempDir(), Size: 256 << 20}
	case "one":
		opt = cache.Options{Memory: cache.BlockSize, Dir: t.TempDir(), Size: cache.BlockSize + 32<<10}
	case "none":
		return nil
	default:
		t.Fatalf("PAILFS_TEST_CACHE=%s: must be empty, one or none", v)
	}
	c := cache.Open(opt)
	t.Cleanup(c.Close)
	return c
}

// safeLog is what the mount logs.
type safeLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *safeLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *safeLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// try runs a shell script in the mount.
func (m *mounted) try(script string) (string, error) {
	ctx, cancel := context.WithTimeout(m.Context(), 2*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, "bash", "-c", "cd "+m.dir+"\n"+script)
	out, err := c.CombinedOutput()
	return string(out), err
}

// sh runs a script that must succeed and gives what it prints.
func (m *mounted) sh(script string) string {
	m.Helper()
	out, err := m.try("set -euo pipefail\n" + script)
	if err != nil {
		m.Fatalf("%s\n%s: %v", script, out, err)
	}
	return out
}

// object gives the bytes under a key of the store; ok is false if there is none.
func (m *mounted) object(key string) (text string, ok bool) {
	m.Helper()
	r, _, err := m.store.Get(m.Context(), key, objstore.All, objstore.Cond{})
	if errors.Is(err, objstore.ErrNotFound) {
		return "", false
	}
	if err != nil {
		m.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		m.Fatal(err)
	}
	return string(b), true
}

func (m *mounted) wantObject(key, want string) {
	m.Helper()
	if got, ok := m.object(key); !ok || got != want {
		m.Errorf("object %q = %.100q (there: %v), want %.100q", key, got, ok, want)
	}
}

func (m *mounted) put(key, text string, meta map[string]string) {
	m.Helper()
	_, err := m.store.Put(m.Context(), key, io.NewSectionReader(strings.NewReader(text), 0, int64(len(text))),
		objstore.PutOptions{Metadata: meta})
	if err != nil {
		m.Fatal(err)
	}
}

// keys gives all keys of the store.
func (m *mounted) keys() []string {
	m.Helper()
	keys := []string{}
	for token, more := "", true; more; {
		page, err := m.store.List(m.Context(), objstore.ListRequest{Token: token})
		if err != nil {
			m.Fatal(err)
		}
		for _, o := range page.Objects {
			keys = append(keys, o.Key)
		}
		token, more = page.Next, page.Next != ""
	}
	return keys
}

func (m *mounted) wantKeys(want ...string) {
	m.Helper()
	slices.Sort(want)
	if got := m.keys(); !slices.Equal(got, want) {
		m.Errorf("keys = %q, want %q", got, want)
	}
}

// fifo is where a script waits for release.
func (m *mounted) fifo() string {
	m.Helper()
	m.pipe = m.TempDir() + "/fifo"
	if err := syscall.Mkfifo(m.pipe, 0600); err != nil {
		m.Fatal(err)
	}
	return m.pipe
}

func (m *mounted) release() {
	m.Helper()
	if err := os.WriteFile(m.pipe, []byte("go\n"), 0600); err != nil {
		m.Fatal(err)
	}
}

// waitFor waits until something that happens in the background is done.
func (m *mounted) waitFor(done func() bool) {
	m.Helper()
	for end := time.Now().Add(time.Minute); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			m.Fatal("it does not happen")
		}
	}
}
