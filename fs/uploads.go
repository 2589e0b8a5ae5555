package fs

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/pailfs/pailfs/objstore"
)

// How long a pending file whose commit failed rests before the next try.
const (
	restAtFirst = time.Second
	restAtMost  = 5 * time.Minute
)

// While files are being closed one after the other few are uploaded side by side: a
// program that waits for its close needs the processor more. That holds for so long
// after a close, and until half of the files wait that may wait: a node and a draft of
// each take about 4 KiB of memory.
const (
	fewWorkers  = 2
	quiet       = 100 * time.Millisecond
	mostPending = 20_000
)

// uploads commits pending files in the background, several at a time, those that
// were closed first before the others. A failure is tried again until the mount ends.
type uploads struct {
	limit  int // side by side
	most   int // may wait; then close waits for the store
	ctx    context.Context
	cancel context.CancelFunc
	idle   func() // called when nothing is left to do for now

	mu       sync.Mutex
	queue    []*file
	working  int
	added    time.Time   // the last one
	spur     *time.Timer // lets all work when it has become quiet
	resting  map[*file]*time.Timer
	draining bool
	done     chan struct{} // closed when nothing is queued or under way; nil if nobody waits
}

func newUploads(limit int, idle func()) *uploads {
	u := &uploads{limit: limit, most: mostPending, resting: map[*file]*time.Timer{}, idle: idle}
	u.ctx, u.cancel = context.WithCancel(context.Background())
	return u
}

func (u *uploads) add(f *file) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.queue = append(u.queue, f)
	u.added = time.Now()
	if u.spur == nil {
		u.spur = time.AfterFunc(quiet, u.hurry)
	}
	u.hire()
}

// full reports whether no more files should wait.
func (u *uploads) full() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.queue)+len(u.resting) >= u.most
}

// hire begins as many workers as there may be. u.mu must be held.
func (u *uploads) hire() {
	for n := min(u.allowed(), u.working+len(u.queue)); u.working < n; u.working++ {
		go u.work()
	}
}

// allowed is how many may be uploaded side by side now. u.mu must be held.
func (u *uploads) allowed() int {
	if u.spur == nil || u.draining || len(u.queue) > u.most/2 {
		return u.limit
	}
	return min(fewWorkers, u.limit)
}

// hurry looks whether it has become quiet.
func (u *uploads) hurry() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if left := quiet - time.Since(u.added); left > 0 && len(u.queue) > 0 {
		u.spur.Reset(left)
		return
	}
	u.spur = nil
	u.hire()
}

func (u *uploads) work() {
	for {
		u.mu.Lock()
		if len(u.queue) == 0 || u.ctx.Err() != nil || u.working > u.allowed() {
			u.working--
			last := u.working == 0
			u.mu.Unlock()
			if last {
				u.rest()
			}
			return
		}
		f := u.queue[0]
		u.queue[0] = nil
		u.queue = u.queue[1:]
		u.mu.Unlock()
		if retry, after := f.upload(u.ctx); retry {
			u.again(f, after)
		}
	}
}

// rest is what the last worker does.
func (u *uploads) rest() {
	u.idle()
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.done != nil && u.working == 0 {
		close(u.done)
		u.done = nil
	}
}

// again queues f later, unless the mount ends.
func (u *uploads) again(f *file, after time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.draining {
		return
	}
	u.resting[f] = time.AfterFunc(after, func() {
		u.mu.Lock()
		_, ok := u.resting[f]
		delete(u.resting, f)
		u.mu.Unlock()
		if ok {
			u.add(f)
		}
	})
}

// drain tries every pending file once more, until ctx ends.
func (u *uploads) drain(ctx context.Context) {
	u.mu.Lock()
	u.draining = true
	rested := make([]*file, 0, len(u.resting))
	for f, timer := range u.resting {
		timer.Stop()
		rested = append(rested, f)
	}
	clear(u.resting)
	u.hire()
	u.mu.Unlock()
	for _, f := range rested {
		u.add(f)
	}
	u.mu.Lock()
	var done chan struct{}
	if u.working > 0 {
		done = make(chan struct{})
		u.done = done
	}
	u.mu.Unlock()
	stop := context.AfterFunc(ctx, u.cancel)
	defer stop()
	if done != nil {
		<-done // soon after ctx ends, too
	}
	u.cancel()
}

// upload commits a pending file. retry says that it is worth another try.
func (f *file) upload(ctx context.Context) (retry bool, after time.Duration) {
	f.mu.Lock()
	p := f.pending
	f.mu.Unlock()
	if p == nil || f.m.tree.isUnlinked(&f.place) {
		return false, 0
	}
	err := p.Check()
	if err == nil {
		err = f.commitPending(ctx)
	}
	switch {
	case err == nil:
		f.settle()
		return false, 0
	case errors.Is(err, objstore.ErrCond):
		f.lost(err)
		return false, 0
	case ctx.Err() != nil:
		return false, 0
	}
	f.mu.Lock()
	f.flushErr, p.tried = err, true
	first := p.failures == 0
	after = min(restAtFirst<<min(p.failures, 20), restAtMost)
	p.failures++
	f.mu.Unlock()
	if first {
		f.m.log.Error("a file that was closed could not be committed yet: its bytes are on the local disk, and it is tried again",
			"key", p.Key, "err", err)
	}
	return true, after
}

// drainPending commits what is pending, and tells of what could not be.
func (m *mount) drainPending(ctx context.Context, files []*file) {
	m.uploads.drain(ctx)
	for _, f := range files {
		f.mu.Lock()
		covered, err := f.covered(), f.flushErr
		f.mu.Unlock()
		if !covered { // or changed since: then it is committed as it is now
			continue
		}
		p := f.takePending()
		u := Unsaved{Key: p.Key, Size: p.Size, Err: err, Kept: m.journalDir}
		if err == nil {
			u.Err = errUnfinished
			f.unpin(p)
		} else {
			u.Kept = f.keepPending(p, false)
		}
		m.report(u)
		f.detach(u.Err)
	}
}

var errUnfinished = errors.New("the time was over before it was uploaded; the next mount does that")
