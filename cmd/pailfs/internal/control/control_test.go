package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func runDir(t *testing.T) string {
	// The address of a socket is short; t.TempDir carries the test's name.
	dir, err := os.MkdirTemp("", "ctl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "run")
}

func acquire(t *testing.T, dir, point string) *Lock {
	t.Helper()
	l, err := Acquire(dir, point)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestLockHoldsOnce(t *testing.T) {
	dir := runDir(t)
	l := acquire(t, dir, "/m")
	_, err := Acquire(dir, "/m")
	if held := (*HeldError)(nil); !errors.As(err, &held) || held.PID == "unknown" {
		t.Errorf("second lock: %v", err)
	}
	other := acquire(t, dir, "/other")
	other.Release()
	l.Release()
	acquire(t, dir, "/m").Release()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestRunDirIsPrivate(t *testing.T) {
	dir := runDir(t)
	l := acquire(t, dir, "/m")
	defer l.Release()
	if fi, err := os.Stat(dir); err != nil || fi.Mode().Perm() != 0o700 {
		t.Errorf("run directory: %v, %v", fi.Mode(), err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := Acquire(dir, "/n"); err == nil {
		t.Error("a directory that all can write to was used")
	}
	if _, err := Dial(dir, os.Getuid(), "/m"); err == nil {
		t.Error("a socket in a directory that all can write to was used")
	}
}

func TestRequestAndAnswer(t *testing.T) {
	dir := runDir(t)
	l := acquire(t, dir, "/m")
	defer l.Release()
	want := Answer{Unsaved: []Unsaved{{Key: "a/b", Size: 7, Err: "no", Kept: "/k"}}}
	asked := make(chan Request, 1)
	// What a server that was killed leaves behind must not be in the way.
	if err := os.WriteFile(l.path(".sock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Listen(l, slog.New(slog.DiscardHandler), func(_ context.Context, r Request, tell func(Progress)) Answer {
		asked <- r
		tell(Progress{Files: 2})
		return want
	})
	if err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Stat(l.path(".sock")); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("socket: %v, %v", fi.Mode(), err)
	}
	c, err := Dial(dir, os.Getuid(), "/m")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.PID != os.Getpid() {
		t.Errorf("peer %d, want %d", c.PID, os.Getpid())
	}
	req := Request{Unmount: true, Lazy: true, PID: 5}
	var told []Progress
	got, err := c.Do(req, func(p Progress) { told = append(told, p) })
	if want := []Progress{{Files: 2}}; !reflect.DeepEqual(told, want) {
		t.Errorf("told %+v", told)
	}
	req.Progress = true
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	if r := <-asked; r != req {
		t.Errorf("asked %+v", r)
	}
	s.Close()
	if _, err := Dial(dir, os.Getuid(), "/m"); err == nil {
		t.Error("connected after Close")
	}
}

// FuzzRequest: whatever comes through the socket is answered, if it is a request,
// and the connection is given up if it is none.
func FuzzRequest(f *testing.F) {
	for _, text := range []string{
		`{"status":true}`, `{"unmount":true,"lazy":true,"pid":-1}`, `{"wait":"a/../b"}`, `{"log_level":"loud"}`, `{"pid":1e99}`,
		"", "{", "null", "[]", `{"wait":"\ud800"}`, strings.Repeat("[", 1000), `{"wait":"` + strings.Repeat("x", maxRequest) + `"}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		text = append(text, '\n')
		var want Request
		good := json.NewDecoder(io.LimitReader(bytes.NewReader(text), maxRequest)).Decode(&want) == nil
		here, there := net.Pipe()
		var asked []Request
		s := &Server{log: slog.New(slog.DiscardHandler)}
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.talk(there, func(_ context.Context, req Request, _ func(Progress)) Answer {
				asked = append(asked, req)
				return Answer{Err: "answered"}
			})
		}()
		go func() {
			here.Write(text) // ends when it is read, or not wanted
			if !good {
				here.Close()
			}
		}()
		var a Answer
		err := json.NewDecoder(here).Decode(&a)
		here.Close()
		<-done
		if good != (err == nil && a.Err == "answered") || good != (len(asked) == 1) || good && asked[0] != want {
			t.Errorf("%q: a request: %v; asked %+v, answered %+v, %v", text, good, asked, a, err)
		}
	})
}

func TestName(t *testing.T) {
	a, b := Name("/mnt/a b/ü"+strings.Repeat("x", 300)), Name("/mnt/other")
	if a == b || len(a) > 40 || strings.ContainsAny(a, " /") {
		t.Errorf("names %q, %q", a, b)
	}
}
