package integration

import (
	"os"
	"strconv"
	"testing"
)

// TestP4Bounded: a file larger than the memory budget, written in order, keeps
// the server below 400 MiB, and so do many writers at once.
func TestP4Bounded(t *testing.T) {
	onTargets(t, func(t *testing.T, p *place) {
		m := p.mount(t, "--memory=256M")
		bounded(t, p, m, 2048)
		s := shell{dir: m.dir, env: environ(tempDir(t))}
		s.run(t, `rm f; truncate -s 100M "$T/h"; for i in $(seq 1 16); do cp --sparse=never "$T/h" "f$i" & done; wait; rm f*`)
		m.within(t, "16 writers at once")
		m.umount(t)
		p.leftovers(t)
	}, mountTargets...)
}

// bounded writes mib MiB into f of a mount that has a memory budget of 256 MiB.
func bounded(t *testing.T, p *place, m *mounted, mib int) {
	t.Helper()
	s := shell{dir: m.dir, env: environ(tempDir(t))}
	s.run(t, `dd if=/dev/zero of=f bs=1M count=`+strconv.Itoa(mib)+` conv=fsync status=none`)
	m.within(t, strconv.Itoa(mib)+" MiB written")
	if o := p.objects(t); len(o) != 1 || o[0].Size != int64(mib)<<20 {
		t.Errorf("in the bucket: %v", o)
	}
}

// within fails if m ever took more than 400 MiB of memory.
func (m *mounted) within(t *testing.T, after string) {
	t.Helper()
	const limit = 400 << 20
	peak, err := m.peakMemory()
	check(t, err)
	t.Logf("%s, at most %d MiB resident", after, peak>>20)
	if peak > limit {
		t.Errorf("%s, at most %d MiB resident, more than %d", after, peak>>20, limit>>20)
	}
}

// size is how many MiB a large object has where n will do for every run.
// PAILFS_TEST_LARGE says how many else (`make soak`).
func size(t *testing.T, n int) int {
	t.Helper()
	if v := os.Getenv("PAILFS_TEST_LARGE"); v != "" {
		var err error
		n, err = strconv.Atoi(v)
		check(t, err)
	}
	return n
}
