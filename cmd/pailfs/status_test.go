package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pailfs/pailfs/cmd/pailfs/internal/control"
	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/countstore"
	"github.com/pailfs/pailfs/objstore/faultstore"
	"github.com/pailfs/pailfs/objstore/memstore"
)

func section(n int) *io.SectionReader {
	return io.NewSectionReader(bytes.NewReader(make([]byte, n)), 0, int64(n))
}

func TestStatusText(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	ago := func(d time.Duration) *time.Time { at := now.Add(-d); return &at }
	s := control.Status{
		Version: "pailfs 1", Source: "s3://b/p", Mountpoint: "/mnt", PID: 7, Started: *ago(3 * time.Hour), Now: now,
		Health: control.Failing, Reason: "no", Sent: 3 << 30, Received: 5, Commits: 2, LastCommit: ago(time.Minute),
		Uncommitted: []control.File{
			{Key: "db.dump", Size: 4 << 30, Sent: 1 << 30, Since: ago(9 * time.Second), Open: true},
			{Key: "evil\x1b[2J", Size: 10, Err: "quota"},
		},
		Failed:    []control.Unsaved{{Key: "lost", Size: 3, Err: "gone", Kept: "lost.partial"}},
		Transfers: []control.Transfer{{Key: "db.dump", Direction: "up", Bytes: 1 << 30, Rate: 1 << 20}, {Key: "r", Direction: "down", Bytes: 1, Size: 2}},
		Calls:     map[string]control.Calls{"put": {Calls: 4, Seconds: 2, Bytes: 1024, Errors: map[string]int64{"throttled": 1, "quota": 2}}, "stat": {Calls: 1}},
		Cost:      &control.Cost{USD: 0.01309, Basis: "list prices"},
		Cache:     &control.Cache{Used: 1 << 20, Limit: 1 << 30, Hits: 8, Misses: 2, Errors: 1},
	}
	before := s
	before.Now, before.Sent = now.Add(-2*time.Second), 1<<30
	want := `s3://b/p at /mnt: failing: no
process 7, up 3h0m0s, pailfs 1
sent 3.0 GiB (1.0 GiB/s), received 5 B (0 B/s), 2 files committed, the last 1m0s ago
requests cost about 0.013 USD, at list prices

not committed yet:
  db.dump        1.0 GiB of 4.0 GiB sent  open for writing for 9s
  "evil\x1b[2J"  0 B of 10 B sent         waiting, quota

not saved:
  "lost" (3 bytes) is not saved: gone; its bytes are kept under lost.partial

transfers:
  up    db.dump  1.0 GiB     1.0 MiB/s
  down  r        1 B of 2 B  0 B/s

cache: 1.0 MiB of 1.0 GiB, 8 hits, 2 misses, 1 errors

calls   count  mean   bytes    errors
  put   4      500ms  1.0 KiB  2 quota, 1 throttled
  stat  1      0s     0 B      
`
	var got strings.Builder
	if err := printStatus(&got, s, &before); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Error(diff)
	}
}

// What is being sent shows as sent of the file, and a store that does not answer
// makes the mount unhealthy until it answers again.
func TestStatusOfALife(t *testing.T) {
	l := newTestLife(t, &fakeServer{files: func() []control.File { return []control.File{{Key: "f", Size: 100, Open: true}} }})
	inner, faults := faultstore.Wrap(memstore.New(memstore.Options{}))
	store, counter := countstore.Wrap(inner)
	l.store, l.counter = &opened{Store: store, counter: counter}, counter
	l.cache = func() control.Cache { return control.Cache{Used: 5} }
	up, err := store.NewUpload(t.Context(), "f", objstore.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := up.PutPart(t.Context(), 1, section(60)); err != nil {
		t.Fatal(err)
	}
	s := ask(l, control.Request{Status: true}).Status
	if s.Health != control.OK || s.Uncommitted[0].Sent != 60 || s.Transfers[0].Bytes != 60 || s.Cache.Used != 5 || s.LastCommit != nil || s.LogLevel != "info" {
		t.Errorf("while sending: %+v", s)
	}
	remove := faults.Add(faultstore.Rule{Op: faultstore.Stat, Err: objstore.ErrTransient})
	for range failingAfter {
		store.Stat(t.Context(), "k")
	}
	if s = l.Status(); s.Health != control.Failing || s.Calls["stat"].Errors["transient"] != failingAfter {
		t.Errorf("without an answer: %+v", s)
	}
	remove()
	store.Stat(t.Context(), "k")
	if s = l.Status(); s.Health != control.OK {
		t.Errorf("with an answer: %+v", s)
	}
	if a := ask(l, control.Request{LogLevel: "warn"}); a.Err != "" || l.Status().LogLevel != "warn" {
		t.Errorf("log level: %+v", a)
	}
	if a := ask(l, control.Request{LogLevel: "loud"}); !strings.Contains(a.Err, "loud") {
		t.Errorf("log level: %+v", a)
	}
}

// Waiting for a file ends when it is committed, with what it has become, and
// when it could not be.
func TestWaitForAFile(t *testing.T) {
	looked := make(chan struct{}, 100)
	files := []control.File{{Key: "f"}}
	s := &fakeServer{}
	s.files = func() []control.File {
		select {
		case looked <- struct{}{}:
		default:
		}
		if len(looked) > 2 {
			return nil
		}
		return files
	}
	l := newTestLife(t, s)
	if _, err := l.store.Put(t.Context(), "f", section(3), objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	a := ask(l, control.Request{Wait: "f"})
	if a.Err != "" || a.Object == nil || a.Object.Size != 3 || a.Object.Version == "" || len(a.Object.Checksum) == 0 || len(looked) < 3 {
		t.Errorf("answer %+v %+v", a, a.Object)
	}
	if a := ask(l, control.Request{Wait: "none"}); !strings.Contains(a.Err, "not found") {
		t.Errorf("a file that is not there: %+v", a)
	}
	s.unsaved = []control.Unsaved{{Key: "f", Err: "quota", At: time.Now().Add(time.Hour)}}
	if a := ask(l, control.Request{Wait: "f"}); !strings.Contains(a.Err, "quota") {
		t.Errorf("a file that could not be saved: %+v", a)
	}
	s.unsaved[0].At = time.Now().Add(-time.Hour)
	if a := ask(l, control.Request{Wait: "f"}); a.Object == nil {
		t.Errorf("one that could be saved since: %+v", a)
	}
}

// The saving at the end tells how far it is.
func TestProgressOfSaving(t *testing.T) {
	left := []control.File{{Key: "a", Size: 100}, {Key: "b", Size: 300}}
	l := newTestLife(t, &fakeServer{files: func() []control.File { return left }})
	s := l.beginSaving()
	s.begun = s.begun.Add(-10 * time.Second)
	left = left[1:]
	p := s.progress()
	if p.Files != 2 || p.FilesDone != 1 || p.Bytes != 400 || p.BytesDone != 100 || p.Rate < 5 || p.Rate > 10 || p.Left < 30*time.Second || p.Left > time.Minute {
		t.Errorf("%+v", p)
	}
	if text := progressText(p); !strings.HasPrefix(text, "saving: 1 of 2 files, 100 B of 400 B, ") || !strings.HasSuffix(text, " left") {
		t.Errorf("%q", text)
	}
}

func TestStatusCommand(t *testing.T) {
	s := newSite(t)
	s.mount("--log-level=warn")
	s.write("d", "text")
	f, err := os.Create(filepath.Join(s.point, "open"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out, code := s.pailfs("status", "--json", s.point)
	var all []control.Status
	if err := json.Unmarshal([]byte(out), &all); err != nil || code != 0 || len(all) != 1 {
		t.Fatalf("exit code %d, %v: %s", code, err, out)
	}
	got := all[0]
	if got.Health != control.OK || got.Mountpoint != s.point || got.Source != "file://"+s.bucket || len(got.Uncommitted) != 1 ||
		got.Uncommitted[0].Key != "open" || !got.Uncommitted[0].Open || got.Commits != 1 || got.Calls["put"].Bytes != 4 || got.LogLevel != "warn" {
		t.Errorf("status %+v", got)
	}
	if out, code := s.pailfs("status", s.point); code != 0 || !strings.Contains(out, s.point+": ok\n") || !strings.Contains(out, "open for writing") {
		t.Errorf("exit code %d: %s", code, out)
	}
	if out, code := s.pailfs("status", "--set-log-level=debug", s.point); code != 0 || out != "" {
		t.Errorf("set the log level: exit code %d: %s", code, out)
	}
	out, code = s.pailfs("status", "--wait", filepath.Join(s.point, "open"), "--timeout=50ms")
	checkLine(t, "wait for an open file", out, "is not committed after 50ms")
	if code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	wait := s.command("status", "--wait", filepath.Join(s.point, "open"))
	var text strings.Builder
	wait.Stdout, wait.Stderr = &text, &text
	if err := wait.Start(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := wait.Wait(); err != nil || !strings.HasPrefix(text.String(), "open: committed, 0 bytes, version ") || !strings.Contains(text.String(), "sha256 e3b0c442") {
		t.Errorf("%v: %s", err, text.String())
	}
	for _, path := range []string{s.bucket, filepath.Join(s.bucket, "x")} {
		if out, code := s.pailfs("status", "--wait", path); code == 0 || !strings.Contains(out, "is in no pailfs mount") {
			t.Errorf("exit code %d: %s", code, out)
		}
	}
	if _, err := os.ReadFile(filepath.Join(s.point, "d")); err != nil {
		t.Fatal(err)
	}
	if out, _ := s.pailfs("status", s.point); !strings.Contains(out, "\ncache: in memory, ") {
		t.Errorf("no use of the cache: %s", out)
	}
	out, code = s.pailfs("status", s.bucket)
	checkLine(t, "not mounted", out, "is not mounted")
	if code != exitFailed {
		t.Errorf("exit code %d", code)
	}
}
