package integration

import (
	"os"
	"strconv"
	"testing"
)

// TestP4Bounded: a file larger than the memory budget, written in order, keeps
// the server below 400 MiB. PAILFS_TEST_MIB sets how many MiB are written.
func TestP4Bounded(t *testing.T) {
	mib := 2048
	if v := os.Getenv("PAILFS_TEST_MIB"); v != "" {
		n, err := strconv.Atoi(v)
		check(t, err)
		mib = n
	}
	const limit = 400 << 20
	onTargets(t, func(t *testing.T, p *place) {
		m := p.mount(t, "--memory=256M")
		s := shell{dir: m.dir, env: environ(tempDir(t))}
		s.run(t, `dd if=/dev/zero of=f bs=1M count=`+strconv.Itoa(mib)+` conv=fsync status=none`)
		peak, err := m.peakMemory()
		check(t, err)
		t.Logf("%d MiB written, at most %d MiB resident", mib, peak>>20)
		if peak > limit {
			t.Errorf("at most %d MiB resident, more than %d", peak>>20, limit>>20)
		}
		if o := p.objects(t); len(o) != 1 || o[0].Size != int64(mib)<<20 {
			t.Errorf("in the bucket: %v", o)
		}
		s.run(t, `rm f; truncate -s 100M "$T/h"; for i in $(seq 1 16); do cp --sparse=never "$T/h" "f$i" & done; wait; rm f*`)
		peak, err = m.peakMemory()
		check(t, err)
		t.Logf("16 writers at once, at most %d MiB resident", peak>>20)
		if peak > limit {
			t.Errorf("with 16 writers at most %d MiB resident, more than %d", peak>>20, limit>>20)
		}
		m.umount(t)
		p.leftovers(t)
	}, mountTargets...)
}
