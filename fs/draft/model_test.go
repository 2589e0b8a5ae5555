package draft

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/faultstore"
	"github.com/pailfs/pailfs/objstore/memstore"
)

// TestModel does random operations on a draft and on a slice of bytes.
func TestModel(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) { model(t, dir) })
}

func model(t *rapid.T, dir string) {
	part := rapid.SampledFrom([]int64{1000, 4096, 5000, 8192, 20_000}).Draw(t, "part")
	least := rapid.SampledFrom([]int64{1, 700, 4096}).Draw(t, "least")
	opt := Options{Memory: 64 * kib, PartSize: part, Parallel: rapid.IntRange(1, 4).Draw(t, "parallel"),
		SHA256: rapid.Bool().Draw(t, "sha256")}
	disk := rapid.IntRange(0, 3).Draw(t, "disk")
	if disk > 1 {
		opt.Dir, opt.DirLimit, opt.KeepSent = dir, 1<<20, disk == 3
	}
	r := newRig(t, memstore.Options{
		NoCopyPart:     rapid.IntRange(0, 4).Draw(t, "copypart") == 0,
		NoLateMetadata: rapid.Bool().Draw(t, "late"),
		Caps: func(c *objstore.Caps) {
			c.MinPart = least
			c.MaxParts = rapid.SampledFrom([]int{60, 1000}).Draw(t, "parts")
			c.MaxPart = 64 * kib
			c.MaxPut = rapid.SampledFrom([]int64{6000, 1 << 20}).Draw(t, "maxput")
			c.MaxCopy = rapid.SampledFrom([]int64{0, 50_000, 1 << 30}).Draw(t, "maxcopy")
			c.OrderedParts = rapid.IntRange(0, 5).Draw(t, "ordered") == 0
			c.CondPut = rapid.IntRange(0, 3).Draw(t, "condput") > 0
			c.CondCopy = rapid.Bool().Draw(t, "condcopy")
		},
	}, opt)
	defer r.end()
	m := &machine{rig: r, key: "k", flaky: rapid.Bool().Draw(t, "flaky")}
	if rapid.Bool().Draw(t, "compact") {
		r.pool.maxPieces = 5
	}
	if rapid.Bool().Draw(t, "edit") {
		m.want = text(7, rapid.IntRange(0, 300*kib).Draw(t, "base"))
		o := r.put("k", m.want)
		m.d, m.target = r.pool.Edit(o), Target{Cond: objstore.Cond{Version: o.Version}}
	} else {
		m.d, m.target = r.pool.New(), Target{Cond: objstore.Cond{Absent: true}}
	}
	if rapid.IntRange(0, 4).Draw(t, "early") > 0 {
		m.d.Start(m.now)
	}
	for range rapid.IntRange(1, 60).Draw(t, "steps") {
		if !m.step(t) {
			return
		}
	}
	m.last = true
	if m.commit(t) {
		r.reads(m.d, m.want)
	}
}

type machine struct {
	*rig
	d      *Draft
	mu     sync.Mutex
	key    string
	target Target
	want   []byte
	seed   uint64
	flaky  bool
	last   bool // nothing follows the commit
}

// now is the target that an early upload goes to.
func (m *machine) now() Target {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.target
	t.Key = m.key
	return t
}

// step does one operation; false ends the run, for what was asked cannot be done.
func (m *machine) step(t *rapid.T) bool {
	switch op := rapid.IntRange(0, 19).Draw(t, "op"); {
	case op < 7: // the next bytes in order
		return m.write(t, len(m.want), rapid.IntRange(1, 60*kib).Draw(t, "len"))
	case op < 10:
		off := rapid.IntRange(0, len(m.want)+20_000).Draw(t, "off")
		return m.write(t, off, rapid.IntRange(1, 20_000).Draw(t, "len"))
	case op < 11: // the head again
		return m.write(t, rapid.IntRange(0, 200).Draw(t, "off"), rapid.IntRange(1, 600).Draw(t, "len"))
	case op < 13:
		return m.truncate(t)
	case op < 16:
		m.read(t)
	case op < 17:
		return m.commit(t)
	case op < 18:
		m.rename()
	case op < 19:
		m.save()
	default: // in the life of a file another one takes the memory
		other := m.pool.New()
		other.Start(func() Target { return Target{Key: "other"} })
		m.rig.write(other, text(3, 40*kib), 0)
		other.Discard()
	}
	return true
}

func (m *machine) write(t *rapid.T, off, n int) bool {
	m.seed++
	b := text(m.seed, n)
	err := m.d.WriteAt(m.ctx, b, int64(off))
	if errors.Is(err, ErrRewriteGone) {
		m.mayLose()
		return false
	}
	for m.flaky && (errors.Is(err, objstore.ErrTransient) || errors.Is(err, objstore.ErrThrottled) || errors.Is(err, objstore.ErrCond)) {
		if !m.commit(t) { // takes notice of the failed early upload
			return false
		}
		err = m.d.WriteAt(m.ctx, b, int64(off))
	}
	m.must(err)
	if grow := off + n - len(m.want); grow > 0 {
		m.want = append(m.want, make([]byte, grow)...)
	}
	copy(m.want[off:], b)
	return true
}

func (m *machine) truncate(t *rapid.T) bool {
	size := rapid.IntRange(0, len(m.want)+10_000).Draw(t, "size")
	if rapid.IntRange(0, 3).Draw(t, "zero") == 0 {
		size = 0
	}
	err := m.d.Truncate(m.ctx, int64(size))
	if errors.Is(err, ErrRewriteGone) {
		m.mayLose()
		return false
	}
	m.must(err)
	if size <= len(m.want) {
		m.want = m.want[:size:size]
	} else {
		m.want = append(m.want, make([]byte, size-len(m.want))...)
	}
	if m.d.Size() != int64(size) {
		m.Fatalf("size is %d, want %d", m.d.Size(), size)
	}
	return true
}

// mayLose checks that only an early upload that was dropped from memory loses bytes.
func (m *machine) mayLose() {
	m.Helper()
	if !m.d.Streaming() || m.pool.opt.KeepSent {
		m.Fatal("bytes lost without an early upload, or though they should be kept")
	}
}

func (m *machine) read(t *rapid.T) {
	off := rapid.IntRange(0, len(m.want)+10).Draw(t, "off")
	b := make([]byte, rapid.IntRange(1, 50_000).Draw(t, "len"))
	n, err := m.d.ReadAt(m.ctx, b, int64(off))
	if errors.Is(err, ErrGone) {
		m.mayLose()
		return
	}
	want := m.want[min(off, len(m.want)):min(off+len(b), len(m.want))]
	if n != len(want) || err != nil && err != io.EOF || (err == io.EOF) != (n < len(b)) {
		m.Fatalf("read of %d at %d of %d: %d, %v", len(b), off, len(m.want), n, err)
	}
	if !bytes.Equal(b[:n], want) {
		m.Fatalf("read at %d differs at %d", off, off+differ(b, want))
	}
}

func (m *machine) commit(t *rapid.T) bool {
	m.mu.Lock()
	m.target.Key = m.key
	m.target.Metadata = map[string]string{"mode": rapid.SampledFrom([]string{"1", "2"}).Draw(t, "mode")}
	m.target.Soft = map[string]string{"mtime": "3"}
	m.mu.Unlock()
	if m.flaky {
		m.faults.Add(faultstore.Rule{
			Op: rapid.SampledFrom([]faultstore.Op{faultstore.Put, faultstore.Part, faultstore.Commit, faultstore.Copy,
				faultstore.Upload, faultstore.CopyPart, faultstore.Get, faultstore.Stat}).Draw(t, "fault"),
			Skip: rapid.IntRange(0, 3).Draw(t, "skip"), Count: rapid.IntRange(1, 3).Draw(t, "count"),
			Done: rapid.Bool().Draw(t, "done"),
			Err:  rapid.SampledFrom([]error{objstore.ErrTransient, objstore.ErrThrottled, objstore.ErrCond}).Draw(t, "err"),
		})
	}
	o, err := m.d.Commit(m.ctx, m.target)
	for tries := 0; m.flaky && err != nil && !errors.Is(err, ErrRewriteGone) && tries < 5; tries++ {
		if !m.d.Dirty() && m.lastOf(m.key) != m.target.Cond.Version {
			m.Fatalf("not dirty after %v", err)
		}
		if tries == 1 && !m.last && rapid.IntRange(0, 3).Draw(t, "later") == 0 {
			m.faults.Clear()
			return true // writes go on, of whatever came of it
		}
		if tries == 3 {
			m.faults.Clear()
		}
		o, err = m.d.Commit(m.ctx, m.target)
	}
	m.faults.Clear()
	if errors.Is(err, ErrRewriteGone) {
		m.mayLose()
		return false
	}
	m.must(err)
	m.holds(m.key, m.want)
	now, err := m.mem.Stat(m.ctx, m.key)
	m.must(err)
	if base, ok := m.d.Base(); !ok || o.Version != now.Version || base.Version != o.Version || m.d.Dirty() || m.d.Streaming() {
		m.Fatalf("after the commit: returned %v, there %v, dirty %v", o, now, m.d.Dirty())
	}
	if !m.target.accepts(now.Metadata, m.target.Soft) {
		m.Fatalf("metadata are %v, want %v", now.Metadata, m.target.Metadata)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.target.Cond = objstore.Cond{Version: o.Version}
	return true
}

// rename moves the committed object, as a rename of the file does.
func (m *machine) rename() {
	base, ok := m.d.Base()
	if !ok || m.d.Streaming() {
		return
	}
	to := map[string]string{"k": "l", "l": "k"}[m.key]
	b := m.object(base.Key)
	m.must(m.mem.Delete(context.Background(), base.Key, objstore.Cond{}))
	o := m.put(to, b)
	m.d.SetBase(o)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.key, m.target.Cond = to, objstore.Cond{Version: o.Version}
}

func (m *machine) lastOf(key string) objstore.Version {
	o, _ := m.mem.Stat(m.ctx, key)
	return o.Version
}

func (m *machine) save() {
	_, err := m.d.SaveTo(m.ctx, "saved", objstore.PutOptions{})
	if errors.Is(err, ErrGone) {
		m.mayLose()
		m.is(err, objstore.ErrUnsupported)
		return
	}
	m.must(err)
	m.holds("saved", m.want)
}
