package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/pailfs/pailfs/integration/servers"
	"github.com/pailfs/pailfs/objstore"
	"golang.org/x/sys/unix"
)

// setting is a number from the environment.
func setting(t testing.TB, name string, otherwise uint64) uint64 {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(v, 10, 64)
	check(t, err)
	return n
}

// TestP6KilledAtRandom: pailfs is killed with SIGKILL at random instants while
// several programs write, rename and remove files and directories. All that they
// were told is there, nothing half-written is seen, by the provider's API and
// through a new mount. That removes what the dead one left, and nothing of anybody
// else's, and ends its renames: every file is there once.
//
// PAILFS_TEST_CRASHES is how often, PAILFS_TEST_SEED repeats a run.
func TestP6KilledAtRandom(t *testing.T) {
	crashes := int(setting(t, "PAILFS_TEST_CRASHES", 25))
	seed := setting(t, "PAILFS_TEST_SEED", uint64(time.Now().UnixNano()))
	t.Logf("PAILFS_TEST_SEED=%d PAILFS_TEST_CRASHES=%d", seed, crashes)
	onTargets(t, func(t *testing.T, p *place) {
		h := newCrashHarness(t, p, seed)
		for i := range crashes {
			h.crash(t, i)
			if t.Failed() {
				t.Fatalf("at crash %d", i)
			}
		}
		h.end(t)
	}, crashTargets()...)
}

// crashTargets are the kinds of place: of PAILFS_TEST_CRASH_TARGETS, with commas
// between, or those that need no cloud.
func crashTargets() []string {
	if kinds := os.Getenv("PAILFS_TEST_CRASH_TARGETS"); kinds != "" {
		return strings.Split(kinds, ",")
	}
	return mountTargets
}

// crashHarness is a bucket and what must be in it.
type crashHarness struct {
	p          *place
	r          *rand.Rand
	server     *settler        // the way to it; nil for a directory
	foreign    objstore.Upload // somebody else's, unfinished
	foreignKey string          // where it goes: a key that we write too, if the store allows that
	others     []string        // uploads that are not ours
	empty      int             // uploads found that never had a part
	dying      atomic.Bool     // the mount is being killed

	mu    sync.Mutex
	l     *ledger
	acked int
	hit   int // renames of directories that a crash broke off
}

// foreignPrivate is a private object of a mount on another machine.
const foreignPrivate = ".pailfs/tmp/another/1"

// crashDirs are there before the first writer.
var crashDirs = []string{"small/", "large/", "log/", "tree/"}

func newCrashHarness(t *testing.T, p *place, seed uint64) *crashHarness {
	h := &crashHarness{p: p, l: newLedger(), r: rand.New(rand.NewPCG(seed, 0))}
	h.foreignKey = "over"
	switch p.kind {
	case "s3":
		h.server = newSettler(t, p.bucket.endpoint.URL)
		p.source = p.bucket.source("http://" + h.server.Addr().String())
	case "gcs":
		h.server = newSettler(t, servers.GCS(t).URL)
		p.store(t) // looks at the server itself
		p.source = sourceAt(t, p.source, "http://"+h.server.Addr().String()+"/storage/v1")
	case "azure":
		h.server = newSettler(t, servers.Azure(t).Host())
		p.store(t)
		p.source = sourceAt(t, p.source, "http://"+h.server.Addr().String())
		h.foreignKey = "theirs" // whoever commits there ends the uploads of all others
	}
	for _, dir := range crashDirs {
		_, err := p.store(t).Put(t.Context(), dir, section(nil), objstore.PutOptions{})
		check(t, err)
	}
	_, err := p.store(t).Put(t.Context(), foreignPrivate, section([]byte("theirs")), objstore.PutOptions{})
	check(t, err)
	h.foreign, err = p.store(t).NewUpload(t.Context(), h.foreignKey, objstore.PutOptions{})
	check(t, err)
	check(t, h.foreign.PutPart(t.Context(), 1, section(noise(99, partSize))))
	h.others = p.uploads(t)
	return h
}

// crash is one round: look, write, kill, look again.
func (h *crashHarness) crash(t *testing.T, i int) {
	dead := h.registries(t)
	m := h.p.mount(t, []string{"--memory=48M", "--memory=256M", "--writeback=false"}[i%3])
	h.clean(t, dead)
	h.look(t, "by the API, with a new mount", h.p.content(t), true)
	h.look(t, "through a new mount", m.content, true)
	check(t, h.l.settle(m.content))
	h.strangers(t, "with a new mount")

	ended := h.write(t, m.dir)
	time.Sleep(time.Duration(h.r.Int64N(int64(time.Second)))) // the random instant
	if i%5 == 4 {                                             // as if the machine had lost its power, or its network
		h.freeze(t, m)
	}
	h.dying.Store(true)
	check(t, unix.Kill(m.pid, unix.SIGKILL))
	<-ended // before the mount goes: they would write below it
	m.kill()
	if h.server != nil {
		h.server.settled(t)
	}
	for _, p := range h.l.pending {
		if len(p.After) > 2 {
			h.hit++
		}
	}
	h.look(t, "after kill -9", h.p.content(t), false)
	h.strangers(t, "after kill -9")
}

// write starts the writers. When ended is closed they have, and the ledger has
// all that they said.
func (h *crashHarness) write(t *testing.T, dir string) (ended chan struct{}) {
	self, err := os.Executable()
	check(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), commandLimit)
	cmd := command(ctx, self)
	cmd.Env = append(os.Environ(), crashDirEnv+"="+dir, fmt.Sprintf("%s=%d", crashSeedEnv, h.r.Uint64()))
	cmd.Stderr = os.Stderr
	said, err := cmd.StdoutPipe()
	check(t, err)
	h.dying.Store(false)
	check(t, cmd.Start())
	ended = make(chan struct{})
	go func() {
		defer close(ended)
		defer cancel()
		h.hear(t, said)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the writers: %v", err)
		}
	}()
	return ended
}

// hear keeps the ledger of what the writers say.
func (h *crashHarness) hear(t *testing.T, said io.Reader) {
	for lines := json.NewDecoder(said); ; {
		var e crashEvent
		if err := lines.Decode(&e); err != nil {
			if err != io.EOF {
				t.Errorf("the writers said: %v", err)
			}
			return
		}
		h.mu.Lock()
		switch {
		case e.Begin != nil:
			h.l.begin(*e.Begin)
		case e.Acked != 0:
			h.l.ack(e.Acked)
			h.acked++
		case e.Errno == unix.ENOTCONN || e.Errno == unix.ECONNABORTED: // killed
		case e.Errno == unix.EIO && h.dying.Load(): // what the kernel could not write back
		default:
			t.Errorf("%s: %s", e.Writer, e.Err)
		}
		h.mu.Unlock()
	}
}

// freeze stops the process for a while in which another mount comes and goes. What
// the first has under way is left alone: it may go on, and does.
func (h *crashHarness) freeze(t *testing.T, m *mounted) {
	check(t, unix.Kill(m.pid, unix.SIGSTOP))
	second := h.p.mount(t)
	second.umount(t)
	check(t, unix.Kill(m.pid, unix.SIGCONT))
	time.Sleep(time.Duration(h.r.Int64N(int64(300 * time.Millisecond))))
}

// content reads a file through the mount. A key that ends in a slash is a directory.
func (m *mounted) content(key string) (content, error) {
	if strings.HasSuffix(key, "/") {
		at, err := os.Stat(filepath.Join(m.dir, key))
		if os.IsNotExist(err) {
			return "", nil
		}
		if err == nil && !at.IsDir() {
			err = unix.ENOTDIR
		}
		return ofMarker, err
	}
	f, err := os.Open(filepath.Join(m.dir, key))
	if os.IsNotExist(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	return contentFrom(f)
}

func (h *crashHarness) look(t *testing.T, when string, read func(string) (content, error), settled bool) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, fault := range h.l.wrong(read, settled) {
		t.Errorf("%s: %s", when, fault)
	}
}

// strangers fails the test at objects that nobody can have wanted.
func (h *crashHarness) strangers(t *testing.T, when string) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, o := range h.p.objects(t) {
		ours := !strings.HasPrefix(o.Key, ".pailfs/") && !slices.Contains(crashDirs, o.Key)
		if ours && !h.l.knows(o.Key) {
			t.Errorf("%s: %q, %d bytes, is in the bucket; %s", when, o.Key, o.Size, h.l.past(o.Key))
		}
	}
}

// clean waits until the mount has removed what dead ones left.
func (h *crashHarness) clean(t *testing.T, dead []string) {
	t.Helper()
	var left []string
	for limit := time.After(time.Minute); ; {
		left = h.left(t)
		for _, name := range h.registries(t) {
			if slices.Contains(dead, name) {
				left = append(left, name)
			}
		}
		if len(left) == 0 {
			return
		}
		select {
		case <-limit:
			t.Fatalf("a minute after the next mount these are left: %v", left)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// registries are the files in which mounts note what they have begun.
func (h *crashHarness) registries(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(h.p.state, "private", "*", "*.reg"))
	check(t, err)
	return names
}

// left is what is in the bucket besides files and what others own.
func (h *crashHarness) left(t *testing.T) (left []string) {
	t.Helper()
	for _, u := range h.p.uploads(t) {
		if !slices.Contains(h.others, u) && !h.neverNoted(t, u) {
			left = append(left, "upload "+u)
		}
	}
	for _, o := range h.p.objects(t) {
		if strings.HasPrefix(o.Key, ".pailfs/") && o.Key != foreignPrivate && o.Key != rootAttributes {
			left = append(left, fmt.Sprintf("%s (%d bytes)", o.Key, o.Size))
		}
	}
	return left
}

// neverNoted reports whether an upload on S3 was begun by a process that died
// before it could note the answer, which nothing can tell from an upload of
// somebody else. It has no part and costs nothing; docs/reliability.md says so.
func (h *crashHarness) neverNoted(t *testing.T, upload string) bool {
	if h.p.kind != "s3" {
		return false
	}
	key, id, _ := strings.Cut(upload, " ")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	parts, err := h.p.bucket.endpoint.Client().ListParts(ctx, &s3.ListPartsInput{Bucket: &h.p.bucket.name, Key: &key, UploadId: &id})
	if err != nil || len(parts.Parts) > 0 {
		return false
	}
	noted, err := filepath.Glob(filepath.Join(h.p.state, "s3-uploads", "*"))
	check(t, err)
	for _, name := range noted {
		if text, err := os.ReadFile(name); err == nil && strings.Contains(string(text), id) {
			return false
		}
	}
	h.others = append(h.others, upload)
	h.empty++
	return true
}

// end looks at everything once more; what others own is still good for them.
func (h *crashHarness) end(t *testing.T) {
	dead := h.registries(t)
	m := h.p.mount(t)
	h.clean(t, dead)
	h.l.touchAll()
	h.look(t, "at the end", h.p.content(t), true)
	h.look(t, "at the end, through a mount", m.content, true)
	m.umount(t)
	h.p.holds(t, foreignPrivate, []byte("theirs"), "at the end")
	check(t, h.p.store(t).Delete(t.Context(), foreignPrivate, objstore.Cond{}))
	for _, u := range h.others {
		if !slices.Contains(h.p.uploads(t), u) {
			t.Errorf("somebody else's upload was aborted: %s", u)
		}
	}
	_, err := h.foreign.Commit(t.Context(), 1)
	check(t, err)
	h.p.holds(t, h.foreignKey, noise(99, partSize), "committed by its owner")
	t.Logf("%d acknowledged calls, %d broken renames of directories, %d uploads without a part", h.acked, h.hit, h.empty)
	if h.empty == 0 {
		h.p.leftovers(t)
	}
}

func section(b []byte) *io.SectionReader {
	return io.NewSectionReader(strings.NewReader(string(b)), 0, int64(len(b)))
}
