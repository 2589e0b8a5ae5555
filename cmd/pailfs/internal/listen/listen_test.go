package listen

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/pailfs/pailfs/cmd/pailfs/internal/control"
	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/countstore"
	"github.com/pailfs/pailfs/objstore/memstore"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// hostile is a key that anybody could have put into the bucket.
const hostile = `<img src=x onerror="document.title='owned'">`

type fakeSource struct {
	status control.Status
	count  countstore.Snapshot
	asked  int
}

func (f *fakeSource) Status() *control.Status {
	f.asked++
	s := f.status
	s.Now = s.Started.Add(time.Duration(f.asked) * time.Second)
	s.Sent += int64(f.asked) << 20
	return &s
}

func (f *fakeSource) Count() countstore.Snapshot { return f.count }

func newFake(t *testing.T) *fakeSource {
	store, counter := countstore.Wrap(memstore.New(memstore.Options{}))
	if _, err := store.Put(t.Context(), "k", io.NewSectionReader(bytes.NewReader([]byte("text")), 0, 4), objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	store.Stat(t.Context(), "none")
	at := time.Date(2026, 1, 2, 3, 4, 5, 500e6, time.UTC)
	return &fakeSource{count: counter.Snapshot(), status: control.Status{
		Version: "pailfs 1", Source: "s3://b", Mountpoint: "/mnt", PID: 7, Started: at, Health: control.OK, LastCommit: &at, Commits: 1,
		Uncommitted: []control.File{{Key: hostile, Size: 30}, {Key: "b", Size: 12}},
		Failed:      []control.Unsaved{{Key: "lost", Err: "quota"}},
		Transfers:   []control.Transfer{{Key: "b", Direction: countstore.Up}},
		Calls:       map[string]control.Calls{"put": {Calls: 1, Bytes: 4}},
		Cost:        &control.Cost{USD: 0.25, Basis: "list prices"},
		Cache:       &control.Cache{Used: 1, Limit: 2, Hits: 3, Misses: 4, Errors: 5},
	}}
}

func get(t *testing.T, h http.Handler, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w.Code, w.Body.String()
}

func TestMetrics(t *testing.T) {
	src := newFake(t)
	code, text := get(t, Handler(src, false), "/metrics")
	if code != 200 {
		t.Fatalf("code %d: %s", code, text)
	}
	for _, want := range []string{
		`pailfs_info{mountpoint="/mnt",source="s3://b",version="pailfs 1"} 1`, "pailfs_healthy 1", "pailfs_commits_total 1",
		"pailfs_last_commit_timestamp_seconds 1.7673230455e+09", "pailfs_uncommitted_files 2", "pailfs_uncommitted_bytes 42",
		"pailfs_failed_files_total 1", `pailfs_transfers{direction="up"} 1`, `pailfs_transfers{direction="down"} 0`,
		`pailfs_store_bytes_total{call="put"} 4`, `pailfs_store_errors_total{call="stat",kind="not-found"} 1`,
		`pailfs_store_call_duration_seconds_count{call="put"} 1`, `pailfs_store_call_duration_seconds_bucket{call="put",le="60"} 1`,
		"pailfs_request_cost_usd_total 0.25", "pailfs_cache_used_bytes 1", "pailfs_cache_misses_total 4", "pailfs_cache_errors_total 5", "go_goroutines", "process_open_fds",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
	if strings.Contains(text, "lost") || strings.Contains(text, "onerror") {
		t.Error("metrics name keys, of which there may be any number")
	}
	if problems, err := testutil.CollectAndLint(mount{src}); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
	src.status.Cache, src.status.LastCommit = nil, nil
	if _, text := get(t, Handler(src, false), "/metrics"); strings.Contains(text, "pailfs_cache") || strings.Contains(text, "last_commit") {
		t.Error("metrics of what there is not")
	}
}

func TestHealth(t *testing.T) {
	src := newFake(t)
	h := Handler(src, false)
	for _, path := range []string{"/healthz", "/readyz"} {
		if code, text := get(t, h, path); code != 200 || !strings.HasPrefix(text, "ok") {
			t.Errorf("%s: %d %q", path, code, text)
		}
	}
	src.status.Health, src.status.Reason = control.Failing, "no answer"
	if code, text := get(t, h, "/readyz"); code != 503 || text != "failing no answer\n" {
		t.Errorf("readyz: %d %q", code, text)
	}
	if code, _ := get(t, h, "/healthz"); code != 200 {
		t.Errorf("healthz: %d", code)
	}
	var s control.Status
	if _, text := get(t, h, "/status.json"); json.Unmarshal([]byte(text), &s) != nil || s.Reason != "no answer" {
		t.Errorf("status.json: %q", text)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("POST", "/status.json", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", w.Code)
	}
}

func TestProfilesAreOptIn(t *testing.T) {
	src := newFake(t)
	if code, _ := get(t, Handler(src, false), "/debug/pprof/goroutine"); code != 404 {
		t.Errorf("without the option: %d", code)
	}
	h := Handler(src, true)
	if code, text := get(t, h, "/debug/pprof/goroutine?debug=1"); code != 200 || !strings.Contains(text, "goroutine profile") {
		t.Errorf("goroutine: %d %q", code, text)
	}
	if code, text := get(t, h, "/debug/pprof/profile?seconds=0.01"); code != 200 || len(text) == 0 {
		t.Errorf("profile: %d, %d bytes", code, len(text))
	}
	if code, _ := get(t, h, "/debug/pprof/cmdline"); code != 404 {
		t.Errorf("cmdline: %d", code)
	}
}

func TestServeAndClose(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	s, err := On("127.0.0.1:0", log)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := On(s.Addr(), log); err == nil || !strings.Contains(err.Error(), "--listen") {
		t.Errorf("an address that is taken: %v", err)
	}
	s.Serve(newFake(t), false)
	resp, err := http.Get("http://" + s.Addr() + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if c, err := net.Dial("tcp", s.Addr()); err == nil {
		c.Close()
		t.Error("still listening")
	}
	if s, err = On("127.0.0.1:0", log); err != nil || s.Close() != nil {
		t.Errorf("closed before it served: %v", err)
	}
}

// The page in a real browser: it plots, lists, and takes keys for text.
func TestPageInABrowser(t *testing.T) {
	browser, err := exec.LookPath("chromium-headless-shell")
	if err != nil && os.Getenv("CI") == "" {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(Handler(newFake(t), false))
	defer srv.Close()
	// Virtual time: the page lives for ten seconds at once.
	cmd := exec.CommandContext(t.Context(), browser, "--no-sandbox", "--disable-gpu", "--user-data-dir="+t.TempDir(),
		"--virtual-time-budget=10000", "--dump-dom", srv.URL)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	dom := string(out)
	for _, want := range []string{
		"<title>ok · /mnt · pailfs</title>", `<polyline class="a" points="29`, "1.0 MiB/s up", "Not committed yet", "lost", "quota",
		"&lt;img src=x onerror", "1 B of 2 B",
	} {
		if !strings.Contains(dom, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	if strings.Contains(dom, "<img") || strings.Contains(stderr.String(), "Content Security Policy") {
		t.Errorf("a key became an element, or the page broke its own rules:\n%s", stderr.String())
	}
	if t.Failed() {
		t.Log(dom)
	}
}
