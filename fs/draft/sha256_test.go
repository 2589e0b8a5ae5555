package draft

import (
	"strings"
	"testing"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/faultstore"
	"github.com/pailfs/pailfs/objstore/memstore"
)

// noted says what the object at k says of itself, after it was checked.
func (r *rig) noted(want []byte) bool {
	r.Helper()
	r.holds("k", want)
	o, err := r.mem.Stat(r.ctx, "k")
	r.must(err)
	return o.NotedSHA256() != nil
}

// What is one Put carries its SHA-256, whatever it was before.
func TestSHA256OfSmallFiles(t *testing.T) {
	r := tiny(t)
	defer r.end()
	d := r.pool.New()
	d.Start(at("k"))
	b := text(1, 5*kib)
	commit := func(what string) {
		t.Helper()
		target := Target{Key: "k", Metadata: map[string]string{"mode": "1"}}
		if o, ok := d.Base(); ok {
			target.Cond.Version = o.Version
		}
		r.commit(d, target)
		if !r.noted(b) {
			t.Errorf("%s: no SHA-256", what)
		}
	}
	commit0 := b
	b = nil
	commit("empty")
	b = commit0
	r.write(d, b, 0)
	commit("new")
	copy(b[100:], "changed")
	r.write(d, []byte("changed"), 100)
	commit("changed")
	b = append(b, "more"...)
	r.write(d, []byte("more"), int64(len(b)-4))
	commit("appended to")
	b = b[:1000]
	r.must(d.Truncate(r.ctx, 1000))
	commit("cut")
	b = append(b, make([]byte, 500)...)
	r.must(d.Truncate(r.ctx, 1500))
	commit("extended")

	saved, err := d.SaveTo(r.ctx, "saved", objstore.PutOptions{})
	r.must(err)
	r.holds("saved", b)
	if saved.Metadata[objstore.MetaSHA256] == "" {
		t.Error("a saved copy has none")
	}
}

// Where asked for, files in parts carry it if they are written in order, however
// little of them the memory holds, and if all is in memory at the commit.
func TestSHA256OfParts(t *testing.T) {
	const size = 400 * kib
	b := text(1, size)
	ordered := func(r *rig, d *Draft, _ []byte) { r.fillWith(d, b) }
	for _, c := range []struct {
		name   string
		memory int64
		off    bool // not asked for
		s3     bool // metadata are fixed when the upload begins
		do     func(r *rig, d *Draft, b []byte)
		noted  bool
	}{
		{name: "in order", memory: 64 * kib, do: ordered, noted: true},
		{name: "in order, not asked for", memory: 64 * kib, do: ordered, off: true},
		{name: "in order, metadata fixed before", memory: 64 * kib, do: ordered, s3: true, noted: true},
		{name: "a hole that is filled when later parts were sent", memory: 64 * kib, do: func(r *rig, d *Draft, b []byte) {
			write := func(off, end int) { r.write(d, b[off:end], int64(off)) }
			write(0, 20*kib)
			write(24*kib, 56*kib)
			r.until("a part behind the hole is sent", func() bool { return r.faults.Count(faultstore.Part, "k") >= 3 })
			write(20*kib, 24*kib)
			for off := 56 * kib; off < size; off += 4 * kib {
				write(off, off+4*kib)
			}
		}, noted: true},
		{name: "the head again at the end", memory: 64 * kib, do: func(r *rig, d *Draft, b []byte) {
			ordered(r, d, b)
			r.write(d, text(2, 4000), 127)
			copy(b[127:], text(2, 4000))
		}},
		{name: "the head again, all in memory", memory: 4 << 20, do: func(r *rig, d *Draft, b []byte) {
			ordered(r, d, b)
			r.write(d, text(2, 4000), 127)
			copy(b[127:], text(2, 4000))
		}, noted: true},
		{name: "backwards, all in memory, metadata fixed before", memory: 4 << 20, s3: true, do: func(r *rig, d *Draft, b []byte) {
			for off := int64(size); off > 0; off -= 4 * kib {
				r.write(d, b[off-4*kib:off], off-4*kib)
			}
		}, noted: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, memstore.Options{NoLateMetadata: c.s3, Caps: func(c *objstore.Caps) { c.MinPart = 4 * kib }},
				Options{Memory: c.memory, PartSize: 8 * kib, SHA256: !c.off})
			defer r.end()
			d := r.pool.New()
			d.Start(at("k"))
			want := append([]byte(nil), b...)
			c.do(r, d, want)
			r.commit(d, Target{Key: "k"})
			if got := r.noted(want); got != c.noted {
				t.Errorf("SHA-256 is there: %v, want %v", got, c.noted)
			}
		})
	}
}

// What is known only after the upload rides on metadata that are rewritten anyway.
func TestSHA256WithLateMetadata(t *testing.T) {
	r := newRig(t, memstore.Options{NoLateMetadata: true, Caps: func(c *objstore.Caps) { c.MinPart = 4 * kib }},
		Options{Memory: 64 * kib, PartSize: 8 * kib, SHA256: true})
	defer r.end()
	d := r.pool.New()
	d.Start(at("k"))
	b := text(1, 400*kib)
	r.fillWith(d, b)
	r.commit(d, Target{Key: "k", Metadata: map[string]string{"mtime": "1"}})
	if !r.noted(b) {
		t.Error("no SHA-256")
	}
}

// A commit that failed leaves no sum behind that a later one would take for its own.
func TestSHA256AfterAFailedCommit(t *testing.T) {
	for _, s3 := range []bool{false, true} {
		r := newRig(t, memstore.Options{NoLateMetadata: s3, Caps: func(c *objstore.Caps) { c.MinPart = 4 * kib }},
			Options{Memory: 64 * kib, PartSize: 8 * kib, SHA256: true})
		d := r.pool.New()
		d.Start(at("k"))
		b := text(1, 400*kib)
		r.fillWith(d, b)
		r.faults.Add(faultstore.Rule{Op: faultstore.Commit, Count: 1, Err: objstore.ErrTransient})
		_, err := d.Commit(r.ctx, Target{Key: "k"})
		r.is(err, objstore.ErrTransient)
		copy(b[127:], "changed")
		r.write(d, []byte("changed"), 127)
		r.commit(d, Target{Key: "k"})
		if r.noted(b) {
			t.Error("a sum that nobody can have computed")
		}
		r.end()
	}
}

// A copy inside the store keeps the sum of its source; one that was changed does not.
func TestSHA256OfCopies(t *testing.T) {
	r := tiny(t)
	defer r.end()
	b := text(1, 100*kib)
	src := r.put("src", b)
	d := r.pool.Clone(src)
	r.commit(d, Target{Key: "k", Cond: objstore.Cond{Absent: true}})
	if !r.noted(b) {
		t.Error("the copy has none")
	}
	copy(b[50*kib:], "changed")
	r.write(d, []byte("changed"), 50*kib)
	o, _ := d.Base()
	r.commit(d, Target{Key: "k", Cond: objstore.Cond{Version: o.Version}})
	if r.noted(b) {
		t.Error("a patched object has a sum that nobody computed")
	}
}

// Metadata of others that leave no room for the sum are more than it.
func TestSHA256WithoutRoom(t *testing.T) {
	r := tiny(t)
	defer r.end()
	d := r.pool.New()
	r.write(d, []byte("x"), 0)
	theirs := strings.Repeat("x", 1950)
	if o := r.commit(d, Target{Key: "k", Metadata: map[string]string{"theirs": theirs}}); o.Metadata[objstore.MetaSHA256] != "" || o.Metadata["theirs"] != theirs {
		t.Errorf("%v", o.Metadata)
	}
}

// fillWith writes b in order, as the kernel does.
func (r *rig) fillWith(d *Draft, b []byte) {
	for off := 0; off < len(b); off += 4 * kib {
		r.write(d, b[off:min(off+4*kib, len(b))], int64(off))
	}
}
