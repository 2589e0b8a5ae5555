package integration

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pailfs/pailfs/objstore"
	"golang.org/x/sys/unix"
)

// faultTimeout is --timeout of the mounts here. A fault that passes does so
// within a fraction of it, one that lasts does not.
const (
	faultTimeout = 10 * time.Second
	faultPasses  = 400 * time.Millisecond
	faultLimit   = 10 * faultTimeout // the longest that a call may take, on a busy machine
)

var faults = []faultCase{
	{"connections are reset", faultReset, false},
	{"connections are refused", nil, false},
	{nameGone, nil, false},
	{"no answer comes", faultStall, false},
	{"answers are lost", faultLost, false},
	{"answers break off in the middle", faultAnswers(half), false},
	{"uploads break off in the middle", faultHalfUpload, false},
	{"answers come in drips", faultAnswers(drip), false},
	{"500 InternalError", faultStatus(500, "InternalError"), false},
	{"503 SlowDown", faultStatus(503, "SlowDown"), false},
	{"429 TooManyRequests", faultStatus(429, "TooManyRequests"), false},
	{"400 ExpiredToken", faultStatus(400, "ExpiredToken"), false},
	{"403 InvalidAccessKeyId", faultStatus(403, "InvalidAccessKeyId"), false},
	{"403 AccessDenied", faultStatus(403, "AccessDenied"), true},
	{"a bit of each upload is flipped", faultFlipUpload, false},
	{"a bit of each object read is flipped", faultFlipDownload, false},
}

type faultCase struct {
	name string
	f    fault // nil for those that no request can meet
	told bool  // at once, so that it does not matter how long it lasts
}

// nameGone is the case in which the server's name is not known to the name
// service.
const nameGone = "the server's name is unknown"

// TestFaults: whatever goes wrong between pailfs and the store, every call
// returns in time, nothing that was acknowledged is lost, errors reach the
// program, and the mount works again afterwards. The outcomes are the table of
// docs/reliability.md; PAILFS_UPDATE_DOCS=1 writes it.
func TestFaults(t *testing.T) {
	t.Parallel()
	rows := make([]string, len(faults))
	var wg sync.WaitGroup
	running := make(chan struct{}, 6) // they wait most of the time, on any number of processors
	for i, c := range faults {
		wg.Go(func() {
			running <- struct{}{}
			defer func() { <-running }()
			t.Run(c.name, func(t *testing.T) { rows[i] = tryFault(t, c) })
		})
	}
	wg.Wait()
	compareTable(t, "../docs/reliability.md", "faults", rows)
}

// faultCalls are the columns of the table.
var faultCalls = []string{"small", "large", "read", "list", "rename"}

// faultRig is one mount behind a proxy.
type faultRig struct {
	p     *place
	proxy *faultProxy
	m     *mounted
	round int

	without string // a call that the server cannot do
}

func tryFault(t *testing.T, c faultCase) string {
	p := newPlace(t, "s3")
	r := &faultRig{p: p, proxy: newFaultProxy(t, p.bucket.endpoint.URL)}
	p.source = p.bucket.source("http://" + r.proxy.addr)
	r.m = p.prepare(t)
	hit := func() { r.proxy.begin(c.f) }
	switch {
	case c.name == nameGone:
		r.proxy.names = newNameServer(t)
		_, port, err := net.SplitHostPort(r.proxy.addr)
		check(t, err)
		p.source = p.bucket.source("http://" + net.JoinHostPort(serverName, port))
		r.m.resolving(t, r.proxy.names)
		hit = r.proxy.nameless
	case c.f == nil:
		hit = r.proxy.refuse
	}
	out, err := r.m.start("--timeout="+faultTimeout.String(), "--attr-ttl=0")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	r.settle(t)
	hit()
	passes := time.AfterFunc(faultPasses, func() {
		if !c.told {
			r.proxy.lift(t)
		}
	})
	passing := r.calls(t)
	passes.Stop()
	r.proxy.lift(t)

	r.settle(t)
	hit()
	lasting := r.calls(t)
	r.proxy.lift(t)

	r.settle(t)
	for call, outcome := range r.calls(t) {
		if outcome != "done" {
			t.Errorf("%s, afterwards: %s", call, outcome)
		}
	}
	if err := r.m.unmount(); err != nil {
		t.Logf("umount: %v", err) // it may tell again what close told
	}
	r.m.kill()
	if names := r.proxy.names; names != nil && names.asked.Load() == 0 {
		t.Error("the name server was never asked while it did not know the name")
	}
	cells := []string{c.name}
	for _, outcomes := range []map[string]string{passing, lasting} {
		for _, call := range faultCalls {
			cells = append(cells, outcomes[call])
		}
	}
	return "| " + strings.Join(cells, " | ") + " |"
}

// at is the name of what a call works on, new for each round.
func (r *faultRig) at(name string) string { return fmt.Sprintf("%s%d", name, r.round) }

func (r *faultRig) old() []byte   { return noise(uint64(r.round), 5000) }
func (r *faultRig) small() []byte { return noise(uint64(r.round)+100, 3000) }
func (r *faultRig) large() []byte { return noise(uint64(r.round)+200, 2*partSize+1000) }

// settle makes, with no fault, the objects that the next calls work on.
func (r *faultRig) settle(t *testing.T) {
	t.Helper()
	r.round++
	for _, key := range []string{"small", "large", "read", "rename", "dir/x"} {
		_, err := r.p.store(t).Put(t.Context(), r.at(key), section(r.old()), objstore.PutOptions{})
		check(t, err)
	}
	for _, name := range []string{"small", "large", "rename"} {
		_, err := os.Stat(filepath.Join(r.m.dir, r.at(name)))
		check(t, err)
	}
}

// calls makes all calls at once and says what came of each: "done", or the errno.
func (r *faultRig) calls(t *testing.T) map[string]string {
	var wg sync.WaitGroup
	var mu sync.Mutex
	outcomes := map[string]string{}
	path := func(name string) string { return filepath.Join(r.m.dir, r.at(name)) }
	for name, call := range map[string]func() error{
		"small": func() error { return overwrite(path("small"), r.small()) },
		"large": func() error { return overwrite(path("large"), r.large()) },
		"read": func() error {
			got, err := os.ReadFile(path("read"))
			if err == nil && !bytes.Equal(got, r.old()) {
				t.Errorf("read: %s", differ(r.old(), got))
			}
			return err
		},
		"list": func() error {
			names, err := os.ReadDir(r.m.dir)
			if err == nil && len(names) < 4*r.round {
				t.Errorf("list: %d names, less than %d", len(names), 4*r.round)
			}
			return err
		},
		"rename": func() error { return os.Rename(path("rename"), path("renamed")) },
	} {
		if name == r.without {
			continue
		}
		wg.Go(func() {
			begun := time.Now()
			err := call()
			took := time.Since(begun)
			outcome := "done"
			if errno := syscall.Errno(0); errors.As(err, &errno) {
				outcome = unix.ErrnoName(errno)
			} else if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if took > faultLimit {
				t.Errorf("%s took %v", name, took)
			}
			t.Logf("round %d, %s: %s after %v", r.round, name, outcome, took.Round(time.Millisecond))
			mu.Lock()
			defer mu.Unlock()
			outcomes[name] = outcome
		})
	}
	wg.Wait()
	r.proxy.lift(t)
	r.look(t, outcomes)
	return outcomes
}

// overwrite replaces a file and calls fsync before close.
func overwrite(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}

// look compares the bucket with the outcomes: what was done is there, what was
// not has left the old object, or has happened all the same.
func (r *faultRig) look(t *testing.T, outcomes map[string]string) {
	t.Helper()
	for name, fresh := range map[string][]byte{"small": r.small(), "large": r.large()} {
		got, _ := r.p.object(t, r.at(name))
		if !bytes.Equal(got, fresh) && (outcomes[name] == "done" || !bytes.Equal(got, r.old())) {
			t.Errorf("%s: %s, and the object is neither old nor new: %s", name, outcomes[name], differ(fresh, got))
		}
	}
	src, _ := r.p.object(t, r.at("rename"))
	dst, there := r.p.object(t, r.at("renamed"))
	switch {
	case outcomes["rename"] == "done" && (src != nil || !bytes.Equal(dst, r.old())):
		t.Errorf("rename: done, but the source has %d bytes and the target %d", len(src), len(dst))
	case !bytes.Equal(src, r.old()) && !bytes.Equal(dst, r.old()):
		t.Errorf("rename: %s, and the file is lost: source %d bytes, target %d (%t)", outcomes["rename"], len(src), len(dst), there)
	}
}

// TestFaultKill: a program that waits for a store which does not answer can be
// killed at once, however long --timeout is.
func TestFaultKill(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "s3")
	proxy := newFaultProxy(t, p.bucket.endpoint.URL)
	p.source = p.bucket.source("http://" + proxy.addr)
	m := p.mount(t, "--timeout=10m")
	check(t, os.WriteFile(filepath.Join(m.dir, "f"), []byte("old"), 0o644))
	for _, script := range []string{"echo new > f", "cat g", "ls -l .", "mv f g"} {
		_, err := p.store(t).Put(t.Context(), "g", section([]byte(script)), objstore.PutOptions{})
		check(t, err)
		proxy.begin(faultStall)
		cmd := command(t.Context(), "/bin/sh", "-c", script)
		cmd.Dir = m.dir
		before := proxy.met.Load()
		check(t, cmd.Start())
		await(t, "a request of "+script, func() bool { return proxy.met.Load() != before })
		begun := time.Now()
		check(t, syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL))
		if err := cmd.Wait(); err == nil {
			t.Errorf("%s: succeeded", script)
		}
		if took := time.Since(begun); took > 30*time.Second {
			t.Errorf("%s: ended %v after it was killed", script, took)
		}
		proxy.lift(t)
	}
	p.holds(t, "f", []byte("old"), "after the writers were killed")
	if err := m.unmount(); err != nil {
		t.Logf("umount: %v", err) // it tells of the file that was not saved
	}
	m.kill()
}

// TestOneConnectionStalls: what does not come through one connection is asked for
// through another, long before the minute after which a connection that is silent ends.
func TestOneConnectionStalls(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "s3")
	want := p.fill(t, "f", 24<<20)
	proxy := newFaultProxy(t, p.bucket.endpoint.URL)
	p.source = p.bucket.source("http://" + proxy.addr)
	m := p.mount(t, "--timeout=10m")
	proxy.begin(faultStallOnce())
	begun := time.Now()
	got, err := os.ReadFile(filepath.Join(m.dir, "f"))
	check(t, err)
	if !bytes.Equal(got, want) {
		t.Error(differ(want, got))
	}
	if took := time.Since(begun); took < time.Second || took > 45*time.Second {
		t.Errorf("took %s: the stall was waited for, or there was none", took)
	}
	proxy.lift(t)
	m.umount(t)
}
