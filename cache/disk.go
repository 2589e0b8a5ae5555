package cache

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	blocksDir = "blocks"
	attrsDir  = "attrs"
	dataExt   = ".data"
	sumExt    = ".sum"
	attrExt   = ".attr"
	tempExt   = ".tmp"

	queueLen  = 32              // blocks that wait to be written
	usedAfter = time.Minute     // how exact the order of use is
	fullPause = 5 * time.Second // between looks whether a full disk has room again
)

// tag tells backup programs to leave the directory out, https://bford.info/cachedir/.
const tag = "Signature: 8a477f597d28d172789f06886806bc55\n# This is the cache of pailfs. It may be removed at any time.\n"

// disk is the tier in a directory. The nil disk has nothing and takes nothing.
type disk struct {
	dir, store string
	size, free int64
	log        *slog.Logger
	stats      *counters

	off      atomic.Bool   // the directory failed: nothing more is asked of it
	slots    chan struct{} // of blocks that wait or are being written
	patience patience

	queue  chan job
	done   chan struct{}
	mu     sync.RWMutex // held to send, so that close can close the queue
	closed bool

	// Of the writer alone.
	used   int64 // bytes in the directory at the last look
	added  int64 // since
	looked time.Time
	full   bool // nothing could be evicted then
}

// job is a block to be written, or a flush.
type job struct {
	key, version string
	size         int64
	block        int64
	b            []byte
	done         func() // b is not needed any more; may be nil
	flushed      chan struct{}
}

func (j job) finish() {
	if j.done != nil {
		j.done()
	}
}

// openDisk makes the directory, and finds out whether it can be written.
func openDisk(opt Options, stats *counters) (*disk, error) {
	d := &disk{
		dir: opt.Dir, store: opt.Store, size: opt.Size, free: opt.Free, log: opt.Log, stats: stats,
		slots: make(chan struct{}, queueLen), queue: make(chan job, queueLen), done: make(chan struct{}),
	}
	for _, dir := range []string{d.dir, filepath.Join(d.dir, blocksDir), filepath.Join(d.dir, attrsDir)} {
		if err := os.MkdirAll(dir, 0700); err != nil {
			return nil, err
		}
	}
	probe, err := os.CreateTemp(filepath.Join(d.dir, blocksDir), "*"+tempExt)
	if err != nil {
		return nil, err
	}
	probe.Close()
	if err := os.Remove(probe.Name()); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(d.dir, "CACHEDIR.TAG"), []byte(tag), 0600); err != nil {
		return nil, err
	}
	go d.run()
	return d, nil
}

// fail turns the tier off, with one warning.
func (d *disk) fail(err error) {
	if !d.off.Swap(true) {
		d.log.Warn("the cache directory fails: going on without it", "dir", d.dir, "err", err)
	}
}

// corrupt counts what was found damaged.
func (d *disk) corrupt(what string, err error) {
	if n := d.stats.corrupt.Add(1); n&(n-1) == 0 { // a dying disk does not fill the log
		d.log.Warn("damaged in the cache, fetched again", "what", what, "count", n, "err", err)
	}
}

func (d *disk) usable() bool { return d != nil && !d.off.Load() }

// get opens what there is of a version; nil if nothing.
func (d *disk) get(key, version string) *pair {
	if !d.usable() {
		return nil
	}
	return d.open(key, version)
}

// takes reports whether a block may be kept at all: one object fills no more
// than half of the tier, so that reading a large one does not empty it.
func (d *disk) takes(block int64) bool {
	return d.usable() && (block+1)*BlockSize <= max(d.size/2, min(d.size, BlockSize))
}

// admit reports whether the writer takes one more block; put must follow. While
// the writer has too many, a caller that may wait does, and others wait as long
// as their patience allows.
func (d *disk) admit(wait bool) bool {
	select {
	case d.slots <- struct{}{}:
		return true
	default:
	}
	if wait {
		d.slots <- struct{}{}
		return true
	}
	if limit := d.patience.left(time.Now()); limit > 0 {
		begun := time.Now()
		timer := time.NewTimer(limit)
		defer timer.Stop()
		select {
		case d.slots <- struct{}{}:
			d.patience.spend(time.Since(begun))
			return true
		case <-timer.C:
			d.patience.spend(limit)
		}
	}
	d.stats.skipped.Add(1)
	return false
}

// put hands a block that was admitted to the writer.
func (d *disk) put(j job) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		j.finish()
		<-d.slots
		return
	}
	d.queue <- j
}

// patience is how long readers may wait for the disk: an eighth of the time
// that passes, saved up to maxPatience, so that a disk that is slower than the
// network does not make its pace theirs.
type patience struct {
	mu    sync.Mutex
	saved time.Duration
	at    time.Time
}

const maxPatience = time.Second

func (p *patience) left(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.at.IsZero() {
		p.saved = maxPatience
	} else {
		p.saved = min(maxPatience, p.saved+now.Sub(p.at)/8)
	}
	p.at = now
	return p.saved
}

func (p *patience) spend(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.saved -= d
}

// flush waits until all that was put is written.
func (d *disk) flush() {
	if d == nil {
		return
	}
	done := make(chan struct{})
	d.mu.RLock()
	if d.closed {
		d.mu.RUnlock()
		return
	}
	d.queue <- job{flushed: done}
	d.mu.RUnlock()
	<-done
}

func (d *disk) close() {
	if d == nil {
		return
	}
	d.mu.Lock()
	if !d.closed {
		d.closed = true
		close(d.queue)
	}
	d.mu.Unlock()
	<-d.done
}

// run is the writer.
func (d *disk) run() {
	defer close(d.done)
	var last *pair // blocks come many to a version
	var key, version string
	defer func() { last.close() }()
	for j := range d.queue {
		if j.flushed != nil {
			last.close()
			last = nil
			close(j.flushed)
			continue
		}
		if last == nil || last.gone() || j.key != key || j.version != version {
			last.close()
			last, key, version = nil, j.key, j.version
		}
		var err error
		if last, err = d.writeBlock(last, j); err != nil {
			d.fail(fmt.Errorf("write: %w", err))
		}
		j.finish()
		<-d.slots
		if len(d.queue) == 0 { // nothing keeps files open that may be evicted
			last.close()
			last = nil
		}
	}
}

// writeBlock writes one block; p are the files of its version if they are open.
func (d *disk) writeBlock(p *pair, j job) (*pair, error) {
	cost := int64(len(j.b)) + 2*headerSize // with its share of the sidecar
	if d.off.Load() || !d.room(cost, d.path(j.key, j.version)) {
		return p, nil
	}
	if p == nil {
		var err error
		if p, err = d.create(j.key, j.version, j.size); err != nil || p == nil {
			return nil, err
		}
	}
	if p.presence(j.block, 1)[0] {
		return p, nil
	}
	if err := p.write(j.block, j.b); err != nil {
		return p, err
	}
	d.added += cost
	d.stats.stored.Add(1)
	return p, nil
}

// room makes sure that cost bytes fit, evicting others than keep if they do not.
// Other mounts write into the directory too, so it is looked at again after
// every 64th of the budget, and that much is left empty.
func (d *disk) room(cost int64, keep string) bool {
	if !d.looked.IsZero() && d.added < max(d.size/64, BlockSize) && d.fits(cost) {
		return true
	}
	if d.full && time.Since(d.looked) < fullPause {
		return false // nothing could be evicted a moment ago
	}
	d.look()
	if !d.fits(cost) {
		d.evict(cost, keep)
	}
	d.full = !d.fits(cost)
	return !d.full
}

func (d *disk) fits(cost int64) bool {
	return d.used+d.added+cost <= d.size-d.size/64 && d.hasFree()
}

func (d *disk) hasFree() bool {
	var st syscall.Statfs_t
	if syscall.Statfs(d.dir, &st) != nil {
		return false
	}
	return int64(st.Bavail)*int64(st.Bsize) >= d.free
}
