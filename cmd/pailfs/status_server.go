package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/pailfs/pailfs/cmd/pailfs/internal/control"
	"github.com/pailfs/pailfs/objstore/countstore"
)

// failingAfter is how many calls in a row the store must fail to answer before
// the mount counts as failing.
const failingAfter = 3

// Status describes the mount at this moment. It asks the store nothing.
func (l *life) Status() *control.Status {
	count := l.counter.Snapshot()
	s := &control.Status{
		Version: versionText(), Source: l.opts.FsName(), Mountpoint: l.opts.Mountpoint, PID: l.pid,
		Started: l.started.UTC(), Now: time.Now().UTC(), ReadOnly: l.opts.ReadOnly, LogLevel: strings.ToLower(l.level.Level().String()),
		Failed: l.srv.Unsaved(), Uncommitted: l.uncommitted(count), Transfers: transfers(count),
		Calls: map[string]control.Calls{}, Sent: count.Sent, Received: count.Received, Commits: count.Commits,
	}
	for op, n := range count.Calls {
		s.Calls[op] = control.Calls{Calls: n.Calls, Errors: n.Errors, Bytes: n.Bytes, Seconds: n.Seconds}
	}
	if !count.LastCommit.IsZero() {
		at := count.LastCommit.UTC()
		s.LastCommit = &at
	}
	s.Cost = l.prices.cost(count.Calls)
	if l.cache != nil {
		c := l.cache()
		s.Cache = &c
	}
	s.Health, s.Reason = l.health(count, len(s.Failed), stuck(s.Uncommitted))
	return s
}

// Count is what passed through the store so far.
func (l *life) Count() countstore.Snapshot { return l.counter.Snapshot() }

// stuck counts the files that were closed and could not be uploaded yet.
func stuck(files []control.File) int {
	n := 0
	for _, f := range files {
		if f.Local && f.Err != "" {
			n++
		}
	}
	return n
}

func (l *life) health(count countstore.Snapshot, failed, stuck int) (health, reason string) {
	select {
	case <-l.gone:
		return control.Saving, "unmounted, saving what is left"
	default:
	}
	switch {
	case count.Failing >= failingAfter:
		return control.Failing, l.opts.Scrub(fmt.Sprintf("the store has not answered %d calls in a row: %v", count.Failing, count.LastError))
	case failed > 0:
		return control.Failing, fmt.Sprintf("%d of the files written could not be saved", failed)
	case stuck > 0:
		return control.Failing, fmt.Sprintf("%d of the files closed could not be uploaded yet; their bytes are on the local disk", stuck)
	}
	return control.OK, ""
}

// uncommitted joins what the file system has with what was sent of it.
func (l *life) uncommitted(count countstore.Snapshot) []control.File {
	sent := map[string]int64{}
	for _, t := range count.Transfers {
		if t.Direction == countstore.Up {
			sent[t.Key] = t.Bytes
		}
	}
	files := l.srv.Uncommitted()
	for i := range files {
		f := &files[i]
		f.Sent = min(sent[f.Key], f.Size)
	}
	return files
}

func transfers(count countstore.Snapshot) []control.Transfer {
	out := []control.Transfer{}
	for _, t := range count.Transfers {
		out = append(out, control.Transfer{
			Key: t.Key, Direction: t.Direction, Bytes: t.Bytes, Size: t.Size, Begun: t.Begun.UTC(),
			Rate: rate(t.Bytes, time.Since(t.Begun)),
		})
	}
	return out
}

// rate is bytes a second.
func rate(n int64, took time.Duration) float64 {
	if took <= 0 {
		return 0
	}
	return float64(n) / took.Seconds()
}
