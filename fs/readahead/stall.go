package readahead

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/pailfs/pailfs/objstore"
)

const (
	// What stalls is asked for again after four times the silence that all but
	// one in a hundred of the last Gets had, and within these bounds.
	minPatience     = 2 * time.Second
	maxPatience     = 30 * time.Second
	unknownPatience = 5 * time.Second // before enoughGets
	enoughGets      = 8

	// fewAgain and one Get in oneIn may be begun again, so that a store that has
	// become slow is not asked for everything twice.
	fewAgain, oneIn = 4, 20

	// maxStalls is how often a body is given up at the same byte. After that the
	// store's own time-out says when it is enough.
	maxStalls = 2
)

// errStalled ends a body of which nothing more came.
var errStalled = errors.New("stalled")

// pace knows how long the Gets of a Pool are silent.
type pace struct {
	mu       sync.Mutex
	silences [128]time.Duration // the longest one of each of the last Gets
	gets     int
	again    int
}

// note counts a Get, with its longest silence.
func (p *pace) note(silence time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silences[p.gets%len(p.silences)] = silence
	p.gets++
}

// patience is how long to wait for the next byte.
func (p *pace) patience() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gets < enoughGets {
		return unknownPatience
	}
	known := p.silences
	sorted := known[:min(p.gets, len(known))]
	slices.Sort(sorted)
	return min(max(4*sorted[len(sorted)*99/100], minPatience), maxPatience)
}

// another reports whether one more Get may be begun again, and counts it.
func (p *pace) another() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.again >= fewAgain+p.gets/oneIn {
		return false
	}
	p.again++
	return true
}

// attempt is one Get, whose context ends when it is given up.
type attempt struct {
	body   io.ReadCloser
	obj    objstore.Object
	err    error
	ctx    context.Context
	cancel context.CancelCauseFunc
}

func (a *attempt) close() {
	if a.body != nil {
		_ = a.body.Close() // given up, or read to its end
	}
	a.cancel(nil)
}

// open begins a Get, and a second one beside it if the first is silent for too
// long: the one that answers first is returned. An error is that of the first, so
// that no call takes longer than the store means it to.
func (r *Reader) open(ctx context.Context, rg objstore.Range, cond objstore.Cond, patience time.Duration) *attempt {
	answers := make(chan *attempt, 2)
	begin := func() *attempt {
		a := &attempt{}
		a.ctx, a.cancel = context.WithCancelCause(ctx)
		go func() {
			a.body, a.obj, a.err = r.p.store.Get(a.ctx, r.key, rg, cond)
			answers <- a
		}()
		return a
	}
	first := begin()
	var second *attempt
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		select {
		case a := <-answers:
			loser := second
			if a == second {
				loser = first
				if a.err != nil {
					a.close()
					second = nil
					continue
				}
			}
			if loser != nil {
				loser.cancel(nil)
				r.running.Go(func() { (<-answers).close() })
			}
			return a
		case <-timer.C:
			if r.p.pace.another() {
				r.p.log.Debug("no answer, asked again", "key", r.key, "off", rg.Off)
				second = begin()
			}
		}
	}
}

// watch gives a body up when it is silent for too long.
type watch struct {
	patience time.Duration
	timer    *time.Timer // nil if the body is never given up
	last     time.Time
	longest  time.Duration // silence
}

// watch begins when a Get does; its first byte may be on its way.
func (p *pace) watch(a *attempt, begun time.Time, patience time.Duration, giveUp bool) *watch {
	now := time.Now()
	w := &watch{patience: patience, last: now, longest: now.Sub(begun)}
	if giveUp {
		w.timer = time.AfterFunc(patience, func() {
			if p.another() {
				a.cancel(errStalled)
			}
		})
	}
	return w
}

// heard is called when some bytes have come.
func (w *watch) heard() {
	now := time.Now()
	w.longest = max(w.longest, now.Sub(w.last))
	w.last = now
	if w.timer != nil {
		w.timer.Reset(w.patience)
	}
}

// stop ends the watch, and returns the longest silence.
func (w *watch) stop() time.Duration {
	if w.timer != nil {
		w.timer.Stop()
	}
	return max(w.longest, time.Since(w.last))
}
