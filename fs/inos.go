package fs

import (
	"hash/fnv"
	"sync"
)

// inos gives out inode numbers: the hash of the key, so that a file keeps its
// number when the kernel forgets it and looks it up again, but never the
// number of another node that is alive (a file and what was renamed away from
// its name, which tail -F tells apart by it).
type inos struct {
	mu   sync.Mutex
	used map[uint64]int
}

// inoOf is the number of a key, unless another node has it.
func inoOf(key string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(key))
	return h.Sum64()
}

func (t *inos) alloc(key string) uint64 {
	n := inoOf(key)
	t.mu.Lock()
	defer t.mu.Unlock()
	for n <= 1 || n == ^uint64(0) || t.used[n] > 0 { // 0, 1 and the last are go-fuse's
		n += 0x9e3779b97f4a7c15
	}
	t.used[n]++
	return n
}

func (t *inos) free(n uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.used[n]--; t.used[n] <= 0 {
		delete(t.used, n)
	}
}
