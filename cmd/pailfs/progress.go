package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/pailfs/pailfs/cmd/pailfs/internal/control"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// saving watches how the files that were uncommitted at its beginning are saved.
type saving struct {
	l     *life
	begun time.Time
	files int
	bytes int64 // of them all
	sent  int64 // before it began
}

func (l *life) beginSaving() *saving {
	s := &saving{l: l, begun: time.Now()}
	for _, f := range l.uncommitted(l.counter.Snapshot()) {
		s.files++
		s.bytes += f.Size
		s.sent += f.Sent
	}
	return s
}

func (s *saving) progress() control.Progress {
	p := control.Progress{Files: s.files, FilesDone: s.files, Bytes: s.bytes, BytesDone: s.bytes}
	for _, f := range s.l.uncommitted(s.l.counter.Snapshot()) {
		p.FilesDone--
		p.BytesDone -= f.Size - f.Sent
	}
	p.FilesDone, p.BytesDone = max(p.FilesDone, 0), max(p.BytesDone, 0)
	p.Rate = rate(p.BytesDone-s.sent, time.Since(s.begun))
	if p.Rate > 0 {
		p.Left = time.Duration(float64(p.Bytes-p.BytesDone) / p.Rate * float64(time.Second)).Round(time.Second)
	}
	return p
}

// every calls tell with the progress, now and then, until the context ends.
func (s *saving) every(ctx context.Context, pause time.Duration, tell func(control.Progress)) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		tell(s.progress())
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func progressText(p control.Progress) string {
	text := fmt.Sprintf("saving: %d of %d files, %s of %s", p.FilesDone, p.Files, readable(p.BytesDone), readable(p.Bytes))
	if p.Rate > 0 {
		text += fmt.Sprintf(", %s/s, %s left", readable(int64(p.Rate)), p.Left)
	}
	return text
}

// readable writes a size for people.
func readable(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

// savingBar draws progress on a terminal; elsewhere it is nil.
func savingBar(out *os.File) func(control.Progress) {
	if !isTerminal(out) {
		return nil
	}
	bar := newBar(out, 0, "saving")
	return func(p control.Progress) {
		if p.Files == 0 {
			return
		}
		bar.Describe(fmt.Sprintf("saving: %d of %d files", p.FilesDone, p.Files))
		bar.ChangeMax64(max(p.Bytes, 1))
		bar.Set64(min(p.BytesDone, p.Bytes))
	}
}

// newBar has no goroutine of its own: that of the library reads what others write.
func newBar(out io.Writer, size int64, what string) *progressbar.ProgressBar {
	return progressbar.NewOptions64(size, progressbar.OptionSetWriter(out), progressbar.OptionSetDescription(what),
		progressbar.OptionShowBytes(true), progressbar.OptionUseIECUnits(true), progressbar.OptionShowTotalBytes(true),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionSetPredictTime(true), progressbar.OptionFullWidth(),
		progressbar.OptionClearOnFinish(), progressbar.OptionSetRenderBlankState(false),
		progressbar.OptionSetSpinnerChangeInterval(0))
}

// meter is a bar whose end moves away while it fills; without a bar it is silent.
// The library does not lock its bounds.
type meter struct {
	mu   sync.Mutex
	size int64
	bar  *progressbar.ProgressBar
}

func (m *meter) do(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.bar != nil {
		f()
	}
}

func (m *meter) expect(n int64) {
	m.do(func() {
		m.size += n
		m.bar.ChangeMax64(m.size)
	})
}

func (m *meter) add(n int64) { m.do(func() { m.bar.Add64(n) }) }
func (m *meter) finish()     { m.do(func() { m.bar.Finish() }) }

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }
