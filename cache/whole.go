package cache

import (
	"os"
	"sync"
	"syscall"

	"github.com/pailfs/pailfs/objstore"
)

// verifyNow is the size up to which a file is verified while somebody waits, in
// bytes.
const verifyNow = 8 << 20

// verified remembers the data files whose every block was compared with its
// checksum, as they were then.
type verified struct {
	mu      sync.Mutex
	files   map[string]identity
	running bool // in the background
	done    sync.WaitGroup
}

// identity tells whether a file was changed or replaced.
type identity struct {
	ino          uint64
	size         int64
	mtime, ctime syscall.Timespec
}

func identify(f *os.File) (identity, bool) {
	var st syscall.Stat_t
	if syscall.Fstat(int(f.Fd()), &st) != nil {
		return identity{}, false
	}
	return identity{st.Ino, st.Size, st.Mtim, st.Ctim}, true
}

// maxVerified bounds what is remembered.
const maxVerified = 10_000

// Whole opens, for reading, the file of the disk tier that holds all bytes of an
// object, each block of which was compared with its checksum since the process
// began; nil if there is none. A large file that is complete is compared in the
// background, for the next time.
func (c *Cache) Whole(obj objstore.Object) *os.File {
	if c == nil || obj.Size <= 0 || obj.Version == "" {
		return nil
	}
	p := c.disk.get(obj.Key, string(obj.Version))
	if p == nil {
		return nil
	}
	defer p.close()
	if !p.complete() || p.size != obj.Size {
		return nil
	}
	now, ok := identify(p.data)
	if !ok {
		return nil
	}
	v := &c.whole
	v.mu.Lock()
	known := v.files[p.name] == now
	v.mu.Unlock()
	switch {
	case known:
	case obj.Size > verifyNow:
		c.verifyLater(obj)
		return nil
	case !c.verify(p):
		return nil
	}
	f, err := os.Open(p.name + dataExt)
	if err != nil {
		return nil
	}
	if same, _ := identify(f); same != now {
		f.Close()
		return nil
	}
	return f
}

// complete reports whether all blocks are there.
func (p *pair) complete() bool {
	for _, have := range p.presence(0, blocks(p.size)) {
		if !have {
			return false
		}
	}
	return true
}

// verify compares all blocks with their checksums.
func (c *Cache) verify(p *pair) bool {
	before, ok := identify(p.data)
	b := make([]byte, min(BlockSize, p.size))
	for n := range blocks(p.size) {
		if c.disk.off.Load() || c.disk.ended() || !p.read(n, b[:blockLen(p.size, n)]) {
			return false
		}
	}
	if after, _ := identify(p.data); !ok || before != after || before.size != p.size {
		return false
	}
	v := &c.whole
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.files == nil || len(v.files) >= maxVerified {
		v.files = map[string]identity{}
	}
	v.files[p.name] = before
	return true
}

// verifyLater verifies one file in the background, unless that goes on already.
func (c *Cache) verifyLater(obj objstore.Object) {
	v := &c.whole
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.running || c.disk.ended() {
		return
	}
	v.running = true
	v.done.Go(func() {
		if p := c.disk.get(obj.Key, string(obj.Version)); p != nil {
			c.verify(p)
			p.close()
		}
		v.mu.Lock()
		v.running = false
		v.mu.Unlock()
	})
}

func (d *disk) ended() bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.closed
}
