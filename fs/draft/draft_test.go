package draft

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/faultstore"
	"github.com/pailfs/pailfs/objstore/memstore"
)

const kib = 1 << 10

func TestMain(m *testing.M) {
	code := m.Run()
	// Nothing may be left running once every pool is closed.
	for deadline := time.Now().Add(time.Minute); runtime.NumGoroutine() > 2 && time.Now().Before(deadline); {
		runtime.Gosched()
		time.Sleep(10 * time.Millisecond)
	}
	if n := runtime.NumGoroutine(); n > 2 && code == 0 {
		buf := make([]byte, 1<<20)
		println("goroutines left:", n, string(buf[:runtime.Stack(buf, true)]))
		code = 1
	}
	os.Exit(code)
}

// tb is what *testing.T and *rapid.T have in common.
type tb interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
	Logf(string, ...any)
}

// rig is a pool over a store in memory.
type rig struct {
	tb
	ctx    context.Context
	mem    *memstore.Store
	faults *faultstore.Faults
	pool   *Pool
}

func newRig(t tb, mem memstore.Options, opt Options) *rig {
	r := &rig{tb: t, mem: memstore.New(mem)}
	var cancel context.CancelFunc
	r.ctx, cancel = context.WithTimeout(context.Background(), 2*time.Minute)
	context.AfterFunc(r.ctx, cancel)
	opt.Store, r.faults = faultstore.Wrap(r.mem)
	opt.Private = ".pailfs/tmp/x/"
	r.pool = NewPool(opt)
	return r
}

// tiny are a pool of 64 KiB and parts of 8 KiB.
func tiny(t tb) *rig {
	return newRig(t, memstore.Options{Caps: func(c *objstore.Caps) { c.MinPart = 4 * kib }},
		Options{Memory: 64 * kib, PartSize: 8 * kib})
}

// end closes the pool and checks that nothing is left of it.
func (r *rig) end() {
	r.Helper()
	r.faults.Clear()
	r.must(r.pool.Close(r.ctx))
	if s := r.pool.Stats(); s.Used != 0 || s.DiskUsed != 0 || s.Drafts != 0 || s.Waiting != 0 {
		r.Fatalf("left in the pool: %+v", s)
	}
	if n := r.mem.Uploads(); n != 0 {
		r.Fatalf("%d uploads left", n)
	}
	for o, err := range objstore.ListAll(r.ctx, r.mem, objstore.ListRequest{Prefix: ".pailfs/"}) {
		r.must(err)
		r.Fatalf("private object left: %s", o.Key)
	}
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

func (r *rig) is(err, kind error) {
	r.Helper()
	if !errors.Is(err, kind) {
		r.Fatalf("error is %v, want %v", err, kind)
	}
}

func (r *rig) write(d *Draft, b []byte, off int64) {
	r.Helper()
	r.must(d.WriteAt(r.ctx, b, off))
}

func (r *rig) commit(d *Draft, t Target) objstore.Object {
	r.Helper()
	o, err := d.Commit(r.ctx, t)
	r.must(err)
	return o
}

func (r *rig) object(key string) []byte {
	r.Helper()
	body, _, err := r.mem.Get(r.ctx, key, objstore.All, objstore.Cond{})
	r.must(err)
	b, err := io.ReadAll(body)
	r.must(err)
	r.must(body.Close())
	return b
}

// holds checks an object's bytes, and that it carries no other SHA-256 than theirs.
func (r *rig) holds(key string, want []byte) {
	r.Helper()
	if got := r.object(key); !bytes.Equal(got, want) {
		r.Fatalf("object %s has %d bytes, want %d; first difference at %d", key, len(got), len(want), differ(got, want))
	}
	o, err := r.mem.Stat(r.ctx, key)
	r.must(err)
	if sum, ok := o.Metadata[objstore.MetaSHA256]; ok && sum != sumText(want) && sum != objstore.SHA256Later {
		r.Fatalf("object %s says its SHA-256 is %s, and it is %s", key, sum, sumText(want))
	}
}

func sumText(b []byte) string { return fmt.Sprintf("%x", sha256.Sum256(b)) }

func (r *rig) reads(d *Draft, want []byte) {
	r.Helper()
	got := make([]byte, len(want)+1)
	n, err := d.ReadAt(r.ctx, got, 0)
	if n != len(want) || err != io.EOF {
		r.Fatalf("read %d bytes of %d: %v", n, len(want), err)
	}
	if !bytes.Equal(got[:n], want) {
		r.Fatalf("draft differs at %d", differ(got, want))
	}
}

func (r *rig) put(key string, b []byte) objstore.Object {
	r.Helper()
	// By parts, whatever the limits of the test are.
	up, err := r.mem.NewUpload(r.ctx, key, objstore.PutOptions{Metadata: map[string]string{objstore.MetaSHA256: sumText(b)}})
	r.must(err)
	n := 0
	for part := range slices.Chunk(b, int(r.mem.Caps().MaxPart)) {
		n++
		r.must(up.PutPart(r.ctx, n, io.NewSectionReader(bytes.NewReader(part), 0, int64(len(part)))))
	}
	if n == 0 {
		n = 1
		r.must(up.PutPart(r.ctx, n, io.NewSectionReader(bytes.NewReader(nil), 0, 0)))
	}
	o, err := up.Commit(r.ctx, n)
	r.must(err)
	return o
}

// sent is how many bytes of key's content went over the wire.
func (r *rig) sent(pattern string) (n int64) {
	for _, c := range r.faults.Calls() {
		if (c.Op == faultstore.Put || c.Op == faultstore.Part) && (pattern == "" || strings.HasPrefix(c.Key, pattern)) {
			n += c.Size
		}
	}
	return n
}

// until waits for a change that a goroutine of the pool makes.
func (r *rig) until(what string, cond func() bool) {
	r.Helper()
	for !cond() {
		if r.ctx.Err() != nil {
			r.Fatalf("waited in vain: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func differ(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// text is n bytes that differ from place to place, and from seed to seed.
func text(seed uint64, n int) []byte {
	c := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	b := make([]byte, n)
	_, _ = c.Read(b)
	return b
}

func at(key string) func() Target { return func() Target { return Target{Key: key} } }
