package integration

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/pailfs/pailfs/objstore"
)

// TestModel makes random calls, from two processes with several descriptors each,
// on a mount and on a local directory, and compares what comes of each, then what
// is in the directories, and the objects in the bucket after each fsync and at the
// end. A second client changes the bucket where no file is open.
//
// -rapid.checks says how many sequences there are (40), -rapid.seed repeats a run; a
// failure is printed as the shortest sequence that fails.
func TestModel(t *testing.T) {
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" })
	if !given {
		check(t, flag.Set("rapid.checks", "40"))
	}
	onTargets(t, func(t *testing.T, p *place) {
		for _, flags := range [][]string{{"--attr-ttl=0"}, {"--attr-ttl=0", "--writeback=false"}} {
			m := newModel(t, p, flags...)
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("what was done, and what a local directory answered:\n%s", m.failed)
				}
			})
			rapid.Check(t, func(rt *rapid.T) { m.sequence(rt, rapid.SliceOfN(modelCalls, 1, 40).Draw(rt, "calls")) })
			m.end(t)
			if p.kind == "plain" {
				break
			}
		}
	}, allTargets...)
}

// modelRound makes the names of directories unique.
var modelRound atomic.Int64

// model is a place, a local directory, and the processes that make calls in both.
type model struct {
	p      *place
	m      *mounted
	store  objstore.Store // nil on a plain directory
	local  string
	procs  []*modelProc
	round  int
	trace  []string // of the sequence
	failed string   // the trace of the last one that failed
}

type modelProc struct {
	cmd *exec.Cmd
	in  *json.Encoder
	out *json.Decoder
	pip io.Closer
}

// modelStep is a call by one of the processes, or a change by another client.
type modelStep struct {
	Proc int
	Call modelCall
}

var modelNames = []string{"a", "b", "c", "d", "d/a", "d/b", "e", "e/a", "d/e", "d/e/a"}

var modelCalls = rapid.Custom(func(t *rapid.T) modelStep {
	pick := func(label string, list ...string) string { return rapid.SampledFrom(list).Draw(t, label) }
	c := modelCall{
		Name: pick("call", "open", "open", "open", "open", "write", "write", "pwrite", "pwrite", "pread", "pread", "close", "close", "close",
			"fsync", "ftruncate", "truncate", "rename", "rename", "unlink", "mkdir", "rmdir", "symlink", "dup", "copy", "mmap", "seek",
			"fchmod", "chmod", "utimes", "setxattr", "getxattr", "stat", "fstat", "list", "remote", "remove"),
		Path: pick("path", modelNames...), To: pick("to", modelNames...),
		Slot: rapid.IntRange(0, 2).Draw(t, "slot"), At: rapid.IntRange(0, 2).Draw(t, "at"),
		Off:  rapid.SampledFrom([]int64{0, 0, 1, 100, 4095, 4096, 10_000, partSize - 10, partSize + 5}).Draw(t, "off"),
		Len:  rapid.SampledFrom([]int64{0, 1, 10, 4096, 5000, 200_000}).Draw(t, "len"),
		Seed: rapid.Uint64Range(0, 9).Draw(t, "seed"),
	}
	bits := func(label string, list ...int) int { return rapid.SampledFrom(list).Draw(t, label) }
	switch c.Name {
	case "open":
		c.Flags = bits("mode", unix.O_RDONLY, unix.O_WRONLY, unix.O_RDWR, unix.O_RDWR) | bits("create", 0, unix.O_CREAT, unix.O_CREAT, unix.O_CREAT|unix.O_EXCL) |
			bits("trunc", 0, 0, unix.O_TRUNC) | bits("append", 0, 0, 0, unix.O_APPEND) | bits("follow", 0, 0, unix.O_NOFOLLOW)
	case "chmod", "fchmod", "mkdir":
		c.Flags = bits("perm", 0o600, 0o644, 0o755, 0o700)
	case "rename":
		c.Flags = bits("how", 0, 0, unix.RENAME_NOREPLACE)
	case "seek":
		c.Flags = bits("whence", unix.SEEK_SET, unix.SEEK_CUR, unix.SEEK_END)
	case "setxattr":
		c.Flags = bits("how", 0, unix.XATTR_CREATE, unix.XATTR_REPLACE)
	}
	return modelStep{rapid.IntRange(0, 1).Draw(t, "process"), c}
})

func newModel(t *testing.T, p *place, flags ...string) *model {
	m := &model{p: p, m: p.mount(t, flags...), local: tempDir(t)}
	if p.kind != "plain" {
		m.store = p.store(t)
	}
	return m
}

// start makes a new pair of directories and the processes that work in them.
func (m *model) start(t modelT) (dir string) {
	dir = fmt.Sprint("sequence-", modelRound.Add(1))
	tried, local := filepath.Join(m.m.dir, dir), filepath.Join(m.local, dir)
	for _, d := range []string{tried, local} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatalf("%v", err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatalf("%v", err)
	}
	m.procs = nil
	for range 2 {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), modelEnv+"="+tried+":"+local)
		cmd.Stderr = os.Stderr
		in, err1 := cmd.StdinPipe()
		out, err2 := cmd.StdoutPipe()
		if err1 != nil || err2 != nil || cmd.Start() != nil {
			t.Fatalf("start a process: %v, %v", err1, err2)
		}
		m.procs = append(m.procs, &modelProc{cmd, json.NewEncoder(in), json.NewDecoder(out), in})
	}
	return dir
}

type modelT interface {
	Fatalf(format string, args ...any)
}

// ask makes a process make a call.
func (p *modelProc) ask(t modelT, c modelCall) (a modelAnswer) {
	late := time.AfterFunc(commandLimit, func() { p.cmd.Process.Kill() })
	defer late.Stop()
	if err := p.in.Encode(c); err != nil {
		t.Fatalf("%+v: %v", c, err)
	}
	if err := p.out.Decode(&a); err != nil {
		t.Fatalf("%+v: no answer: %v", c, err)
	}
	return a
}

// sequence makes calls in a new directory and compares.
func (m *model) sequence(t modelT, steps []modelStep) {
	dir := m.start(t)
	done := false
	defer func() {
		for _, p := range m.procs {
			p.pip.Close()
			p.cmd.Wait()
		}
		if !done {
			m.failed = "  " + strings.Join(m.trace, "\n  ")
		}
	}()
	open := map[[2]int]bool{}
	m.trace = nil
	for i, s := range steps {
		c := s.Call
		if c.Name == "remote" || c.Name == "remove" {
			if len(open) == 0 && m.store != nil {
				m.elsewhere(t, dir, c)
			}
			continue
		}
		a := m.procs[s.Proc].ask(t, c)
		m.trace = append(m.trace, fmt.Sprintf("%d: %v: %s", s.Proc, c, a.Local))
		if a.Tried != a.Local {
			t.Fatalf("call %d, process %d, %+v: %s, a local directory says %s", i, s.Proc, c, a.Tried, a.Local)
		}
		switch {
		case c.Name == "open" && a.Local == "ok":
			open[[2]int{s.Proc, c.Slot}] = true
		case c.Name == "dup" && a.Local == "ok":
			open[[2]int{s.Proc, c.At}] = true
		case c.Name == "close":
			delete(open, [2]int{s.Proc, c.Slot})
		}
		if a.Committed != "" {
			m.compare(t, dir, a.Committed, fmt.Sprintf("after call %d, %+v", i, c))
		}
	}
	for i, p := range m.procs {
		if a := p.ask(t, modelCall{Name: "end"}); a.Tried != a.Local {
			t.Fatalf("process %d closes: %s, a local directory says %s", i, a.Tried, a.Local)
		}
	}
	if a := m.procs[0].ask(t, modelCall{Name: "list"}); a.Tried != a.Local {
		t.Fatalf("at the end:\n%s\n--- a local directory has\n%s", a.Tried, a.Local)
	}
	filepath.WalkDir(filepath.Join(m.local, dir), func(path string, e os.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			rel, _ := filepath.Rel(filepath.Join(m.local, dir), path)
			m.compare(t, dir, rel, "at the end")
		}
		return nil
	})
	done = true
}

// compare compares an object with the local file, and with the SHA-256 that it carries.
func (m *model) compare(t modelT, dir, rel, when string) {
	if m.store == nil {
		return
	}
	want, err := os.ReadFile(filepath.Join(m.local, dir, rel))
	if err != nil {
		t.Fatalf("%v", err)
	}
	body, o, err := m.store.Get(context.Background(), dir+"/"+rel, objstore.All, objstore.Cond{})
	if err != nil {
		t.Fatalf("%s: object %s: %v", when, rel, err)
	}
	defer body.Close()
	got, err := io.ReadAll(body)
	if err != nil || string(got) != string(want) {
		t.Fatalf("%s: object %s: %v, %s", when, rel, err, differ(want, got))
	}
	if sum, noted := sha256.Sum256(want), o.NotedSHA256(); noted != nil && !bytes.Equal(noted, sum[:]) {
		t.Fatalf("%s: object %s: SHA-256 is %x, its metadata say %x", when, rel, sum, noted)
	}
}

// elsewhere changes or removes a file in both places, in the bucket by the
// provider's API.
func (m *model) elsewhere(t modelT, dir string, c modelCall) {
	local := filepath.Join(m.local, dir, c.Path)
	st, err := os.Lstat(local)
	if err != nil || !st.Mode().IsRegular() {
		return
	}
	key, store, ctx := dir+"/"+c.Path, m.store, context.Background()
	if c.Name == "remove" {
		// The mount would keep the directory; the bucket does not.
		siblings, _ := os.ReadDir(filepath.Dir(local))
		if len(siblings) < 2 {
			return
		}
		err = store.Delete(ctx, key, objstore.Cond{})
		if err == nil {
			err = os.Remove(local)
		}
	} else {
		b := noise(c.Seed, int(c.Len))
		var o objstore.Object
		if o, err = store.Stat(ctx, key); err == nil {
			delete(o.Metadata, objstore.MetaSHA256)
			_, err = store.Put(ctx, key, section(b), objstore.PutOptions{Metadata: o.Metadata})
		}
		if err == nil {
			err = os.WriteFile(local, b, 0)
		}
		if err == nil { // the metadata that were carried along have the old time
			err = os.Chtimes(local, st.ModTime(), st.ModTime())
		}
	}
	if err != nil {
		t.Fatalf("%s of %s elsewhere: %v", c.Name, key, err)
	}
}

func (m *model) end(t *testing.T) {
	m.m.umount(t)
	m.p.leftovers(t)
}
