package draft

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/faultstore"
	"github.com/pailfs/pailfs/objstore/memstore"
)

// costs are what is done to an object of 32 MiB, or to a new file.
var costs = []struct {
	name  string
	fresh bool
	do    func(r *rig, d *Draft)
}{
	{"a new file of 4 KiB", true, func(r *rig, d *Draft) { r.fill(d, 0, 4*kib) }},
	{"a new file of 32 MiB", true, func(r *rig, d *Draft) { r.fill(d, 0, costBase) }},
	{"`pg_dump -Fc`: the same, then 4 KiB at 127", true, func(r *rig, d *Draft) {
		r.fill(d, 0, costBase)
		r.until("all but the last part are sent", func() bool { return r.sent("k") >= costBase/4*3 })
		r.fill(d, 127, 4*kib)
	}},
	{"append 1 byte", false, func(r *rig, d *Draft) { r.fill(d, costBase, 1) }},
	{"append 20 MiB", false, func(r *rig, d *Draft) { r.fill(d, costBase, 20<<20) }},
	{"change 4 KiB in the middle", false, func(r *rig, d *Draft) { r.fill(d, costBase/2, 4*kib) }},
	{"change 4 KiB every 16 MiB, as a database does", false, func(r *rig, d *Draft) {
		for off := int64(0); off < costBase; off += 16 << 20 {
			r.fill(d, off, 4*kib)
		}
	}},
	{"write all of it again in place (`rsync --inplace`)", false, func(r *rig, d *Draft) { r.fill(d, 0, costBase) }},
	{"cut it in the middle", false, func(r *rig, d *Draft) { r.must(d.Truncate(r.ctx, costBase/2)) }},
	{"empty it and write 4 KiB", false, func(r *rig, d *Draft) { r.must(d.Truncate(r.ctx, 0)); r.fill(d, 0, 4*kib) }},
}

const costBase = 32 << 20

// fill writes n bytes at off, 128 KiB at a time.
func (r *rig) fill(d *Draft, off, n int64) {
	b := make([]byte, 128*kib)
	for end := off + n; off < end; {
		k := min(int64(len(b)), end-off)
		r.must(d.WriteAt(r.ctx, b[:k], off))
		off += k
	}
}

// TestCosts finds what each kind of change costs on S3, the table of
// docs/performance.md, and fails where they differ. PAILFS_UPDATE_DOCS=1 writes it.
func TestCosts(t *testing.T) {
	var rows []string
	for _, c := range costs {
		r := newRig(t, memstore.Options{NoLateMetadata: true, Caps: func(c *objstore.Caps) { c.MinPart = 5 << 20 }}, Options{Memory: 512 << 20, Parallel: 4})
		var d *Draft
		var target Target
		if c.fresh {
			d, target = r.pool.New(), Target{Key: "k", Cond: objstore.Cond{Absent: true}}
		} else {
			o := r.put("k", make([]byte, costBase))
			d, target = r.pool.Edit(o), Target{Key: "k", Cond: objstore.Cond{Version: o.Version}}
		}
		d.Start(func() Target { return target })
		r.faults.Reset()
		c.do(r, d)
		_, err := d.Commit(r.ctx, target)
		r.must(err)
		rows = append(rows, "| "+c.name+" | "+costOf(r.faults.Calls())+" |")
		d.Discard()
		r.end()
	}
	compareCosts(t, "../../docs/performance.md", rows)
}

// costOf sums up requests and MiB.
func costOf(calls []faultstore.Call) string {
	var sent, copied, read int64
	parts, copies, other := 0, 0, 0
	for _, c := range calls {
		switch c.Op {
		case faultstore.Put, faultstore.Part:
			parts, sent = parts+1, sent+c.Size
		case faultstore.CopyPart:
			copies, copied = copies+1, copied+c.Range.Len
		case faultstore.Copy:
			copies, copied = copies+1, copied+costBase
		case faultstore.Get:
			other, read = other+1, read+c.Range.Len
		case faultstore.Abort:
		default:
			other++
		}
	}
	mib := func(n int64) string {
		if n == 0 {
			return "0"
		}
		return fmt.Sprintf("%.3g", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%d | %d | %d | %s | %s | %s", parts, copies, other, mib(sent), mib(copied), mib(read))
}

func compareCosts(t *testing.T, file string, rows []string) {
	t.Helper()
	doc, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, _ := strings.Cut(string(doc), "<!-- costs -->\n")
	table, after, ok := strings.Cut(rest, "<!-- end -->")
	if !ok {
		t.Fatalf("%s has no table of costs", file)
	}
	if os.Getenv("PAILFS_UPDATE_DOCS") != "" {
		head := strings.SplitAfterN(table, "\n", 3)
		table = head[0] + head[1] + strings.Join(rows, "\n") + "\n"
		if err := os.WriteFile(file, []byte(before+"<!-- costs -->\n"+table+"<!-- end -->"+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	for _, row := range rows {
		if !strings.Contains(table, row+"\n") {
			t.Errorf("%s does not say so: %s", file, row)
		}
	}
}
