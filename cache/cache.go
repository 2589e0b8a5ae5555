package cache

import (
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/pailfs/pailfs/objstore"
)

// Options of a Cache. The zero value keeps nothing.
type Options struct {
	// Store names the store: two that hold different objects must have
	// different names, as equal keys and versions are taken for equal bytes.
	Store string

	Memory int64 // bytes of blocks in memory

	// Dir is the directory of the disk tier; "" is none. Size is how many bytes
	// it may take on the disk, Free how many it leaves free there for others.
	Dir        string
	Size, Free int64

	Log *slog.Logger // nil discards
}

// Cache keeps blocks. All methods are safe for concurrent use; the nil Cache
// keeps nothing.
type Cache struct {
	limit  int64
	memory *memory
	disk   *disk
	stats  counters
	whole  verified
	spare  sync.Pool // of *[]byte, blocks on their way to the disk
}

// Stats are counts since the cache was opened, but for Bytes.
type Stats struct {
	Hits, Misses int64 // blocks asked for
	Corrupt      int64 // found damaged on the disk
	Stored       int64 // blocks written to the disk
	Skipped      int64 // not written because the disk was too slow
	Evicted      int64 // versions removed from the disk
	Bytes        int64 // in the directory when last looked at
}

type counters struct {
	hits, misses, corrupt, stored, skipped, evicted, bytes atomic.Int64
}

// Open opens a cache. A directory that cannot be used is not an error: it is
// logged, and the cache goes on without.
func Open(opt Options) *Cache {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	c := &Cache{limit: opt.Memory, memory: newMemory(opt.Memory)}
	c.spare.New = func() any { b := make([]byte, BlockSize); return &b }
	if opt.Dir != "" && opt.Size > 0 {
		d, err := openDisk(opt, &c.stats)
		if err != nil {
			opt.Log.Warn("the cache directory cannot be used: going on without it", "dir", opt.Dir, "err", err)
		}
		c.disk = d
		c.limit += queueLen * BlockSize
	}
	return c
}

// Memory is how many bytes the cache may hold in memory.
func (c *Cache) Memory() int64 {
	if c == nil {
		return 0
	}
	return c.limit
}

// Close waits for what is still being written.
func (c *Cache) Close() {
	if c != nil {
		c.disk.close()
		c.whole.done.Wait()
		c.memory.close()
	}
}

// Flush waits until all blocks that were taken so far are where they belong.
func (c *Cache) Flush() {
	if c != nil {
		c.memory.wait()
		c.disk.flush()
	}
}

// Stats returns the counts.
func (c *Cache) Stats() Stats {
	if c == nil {
		return Stats{}
	}
	s := &c.stats
	return Stats{
		Hits: s.hits.Load(), Misses: s.misses.Load(), Corrupt: s.corrupt.Load(), Stored: s.stored.Load(),
		Skipped: s.skipped.Load(), Evicted: s.evicted.Load(), Bytes: s.bytes.Load(),
	}
}

// Put takes the bytes of obj from off on, as far as they are whole blocks, and
// keeps no reference to b. It waits for the disk.
func (c *Cache) Put(obj objstore.Object, b []byte, off int64) {
	if c == nil || obj.Version == "" {
		return
	}
	id := id{obj.Key, string(obj.Version)}
	for block := (off + BlockSize - 1) / BlockSize; block < blocks(obj.Size); block++ {
		at, n := block*BlockSize-off, int64(blockLen(obj.Size, block))
		if at+n > int64(len(b)) {
			return
		}
		c.keep(id, obj.Size, block, b[at:at+n], obj.Size <= streamed, true)
	}
}

// Wants reports whether the cache keeps anything.
func (c *Cache) Wants() bool { return c != nil && (c.memory != nil || c.disk.usable()) }

// Persistent reports whether the cache outlives the process.
func (c *Cache) Persistent() bool { return c != nil && c.disk.usable() }

// id is what a block is of.
type id struct{ key, version string }

// keep copies a block to where it is wanted.
func (c *Cache) keep(id id, size, block int64, b []byte, inMemory, wait bool) {
	j := job{key: id.key, version: id.version, size: size, block: block}
	onDisk := c.disk.takes(block) && c.disk.admit(wait)
	switch {
	case inMemory && c.memory != nil:
		j.b = append([]byte(nil), b...) // for both: blocks do not change
		c.memory.put(id, block, j.b, size)
	case onDisk:
		spare := c.spare.Get().(*[]byte)
		j.b = (*spare)[:copy(*spare, b)]
		j.done = func() { c.spare.Put(spare) }
	}
	if onDisk {
		c.disk.put(j)
	}
}
