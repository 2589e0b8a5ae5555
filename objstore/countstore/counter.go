package countstore

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pailfs/pailfs/objstore"
)

// Calls of a Store, as they are counted.
const (
	Stat      = "stat"
	Get       = "get"
	Put       = "put"
	NewUpload = "upload"
	PutPart   = "part"
	CopyPart  = "copy-part"
	Commit    = "commit"
	Abort     = "abort"
	Copy      = "copy"
	Rename    = "rename"
	Delete    = "delete"
	List      = "list"
	Clean     = "clean"
)

// Directions of a transfer.
const (
	Up   = "up"
	Down = "down"
)

// Buckets are the upper bounds, in seconds, of Count.Buckets.
var Buckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

// kinds are the names of the kinds of error.
var kinds = []struct {
	err  error
	name string
}{
	{objstore.ErrNotFound, "not-found"}, {objstore.ErrCond, "condition"}, {objstore.ErrPermission, "permission"},
	{objstore.ErrRange, "range"}, {objstore.ErrThrottled, "throttled"}, {objstore.ErrUnsupported, "unsupported"},
	{objstore.ErrArchived, "archived"}, {objstore.ErrQuota, "quota"}, {objstore.ErrChecksum, "checksum"},
	{context.Canceled, "cancelled"}, {objstore.ErrTransient, "transient"},
}

func kindOf(err error) string {
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			return k.name
		}
	}
	return "other"
}

// answers are errors in which the store did what it was asked for.
var answers = []string{"not-found", "condition", "range", "cancelled"}

// Count is what became of the calls of one sort.
type Count struct {
	Calls   int64
	Errors  map[string]int64 // by kind: not-found, condition, transient, ...
	Bytes   int64            // of bodies
	Seconds float64          // in all
	Buckets []int64          // calls that took at most Buckets[i] seconds, cumulative
}

// Transfer is a body, or an upload of several, that is on its way.
type Transfer struct {
	Key       string
	Direction string // Up or Down
	Bytes     int64  // that have arrived
	Size      int64  // in all; 0 when it is not known
	Begun     time.Time
}

// Snapshot is everything counted up to one moment.
type Snapshot struct {
	Calls          map[string]Count
	Transfers      []Transfer // the oldest first
	Sent, Received int64      // bytes of bodies
	LastCommit     time.Time  // of the last object that a Put or Commit made
	Commits        int64

	// Failing counts the calls since the last good one that the store could not
	// answer; LastError is the last of all.
	Failing   int
	LastError error
	FailedAt  time.Time
}

// Counter counts. Its methods are safe for concurrent use.
type Counter struct {
	mu        sync.Mutex
	snap      Snapshot // but for Transfers
	transfers map[transferKey]*transfer
}

type transferKey struct{ direction, key string }

// transfer is all that goes in one direction for one key.
type transfer struct {
	key    transferKey
	active int
	bytes  int64
	size   int64
	begun  time.Time
}

func newCounter() *Counter {
	return &Counter{snap: Snapshot{Calls: map[string]Count{}}, transfers: map[transferKey]*transfer{}}
}

// Snapshot returns a copy of what was counted.
func (c *Counter) Snapshot() Snapshot {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.snap
	s.Calls = maps.Clone(s.Calls)
	for op, n := range s.Calls {
		n.Errors, n.Buckets = maps.Clone(n.Errors), slices.Clone(n.Buckets)
		s.Calls[op] = n
	}
	for k, t := range c.transfers {
		s.Transfers = append(s.Transfers, Transfer{k.key, k.direction, t.bytes, t.size, t.begun})
	}
	slices.SortFunc(s.Transfers, func(a, b Transfer) int {
		return cmp.Or(a.Begun.Compare(b.Begun), cmp.Compare(a.Key, b.Key))
	})
	return s
}

// begin counts a call when what it returns is called.
func (c *Counter) begin(op string) (done func(error)) {
	begun := time.Now()
	return func(err error) {
		took := time.Since(begun).Seconds()
		c.mu.Lock()
		defer c.mu.Unlock()
		n := c.snap.Calls[op]
		if n.Errors == nil {
			n.Errors, n.Buckets = map[string]int64{}, make([]int64, len(Buckets))
		}
		n.Calls++
		n.Seconds += took
		for i, limit := range Buckets {
			if took <= limit {
				n.Buckets[i]++
			}
		}
		if err != nil {
			n.Errors[kindOf(err)]++
		}
		c.snap.Calls[op] = n
		switch {
		case err == nil || slices.Contains(answers, kindOf(err)):
			if kindOf(err) != "cancelled" {
				c.snap.Failing = 0
			}
		default:
			c.snap.Failing++
			c.snap.LastError, c.snap.FailedAt = err, time.Now()
		}
	}
}

func (c *Counter) startTransfer(direction, key string, size int64) *transfer {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := transferKey{direction, key}
	t := c.transfers[k]
	if t == nil {
		t = &transfer{key: k, begun: time.Now()}
		c.transfers[k] = t
	}
	t.active++
	t.size += size
	return t
}

func (c *Counter) endTransfer(t *transfer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.active--; t.active == 0 {
		delete(c.transfers, t.key)
	}
}

func (c *Counter) sent(op string, t *transfer, n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t.bytes += n
	c.snap.Sent += n
	c.addBytes(op, n)
}

func (c *Counter) received(t *transfer, n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t.bytes += n
	c.snap.Received += n
	c.addBytes(Get, n)
}

// addBytes counts bytes of a body. The caller holds mu.
func (c *Counter) addBytes(op string, n int64) {
	count := c.snap.Calls[op]
	if count.Errors == nil {
		count.Errors, count.Buckets = map[string]int64{}, make([]int64, len(Buckets))
	}
	count.Bytes += n
	c.snap.Calls[op] = count
}

// private is the prefix of keys that hold no file of a user.
const private = ".pailfs/"

func (c *Counter) committed(key string) {
	if strings.HasPrefix(key, private) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.snap.Commits++
	c.snap.LastCommit = time.Now()
}
