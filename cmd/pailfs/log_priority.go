package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"log/syslog"
	"os"
	"sync"
)

// priorityHandler writes each record as one line of text and gives its level as
// a priority; the time is left to syslog or the journal.
type priorityHandler struct {
	slog.Handler
	out *priorityLine
}

type priorityLine struct {
	mu    sync.Mutex
	buf   bytes.Buffer // one record, guarded by mu
	write func(syslog.Priority, string) error
}

func (l *priorityLine) Write(p []byte) (int, error) { return l.buf.Write(p) }

func newPriorityHandler(write func(syslog.Priority, string) error, clean func(io.Writer) io.Writer, opt *slog.HandlerOptions) *priorityHandler {
	out := &priorityLine{write: write}
	plain := *opt
	plain.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
			return slog.Attr{}
		}
		return a
	}
	return &priorityHandler{slog.NewTextHandler(clean(out), &plain), out}
}

func (h *priorityHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &priorityHandler{h.Handler.WithAttrs(attrs), h.out}
}

func (h *priorityHandler) WithGroup(name string) slog.Handler {
	return &priorityHandler{h.Handler.WithGroup(name), h.out}
}

func (h *priorityHandler) Handle(ctx context.Context, r slog.Record) error {
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	h.out.buf.Reset()
	if err := h.Handler.Handle(ctx, r); err != nil {
		return err
	}
	priority := syslog.LOG_DEBUG
	switch {
	case r.Level >= slog.LevelError:
		priority = syslog.LOG_ERR
	case r.Level >= slog.LevelWarn:
		priority = syslog.LOG_WARNING
	case r.Level >= slog.LevelInfo:
		priority = syslog.LOG_INFO
	}
	return h.out.write(priority, h.out.buf.String())
}

func syslogTo(w *syslog.Writer) func(syslog.Priority, string) error {
	return func(p syslog.Priority, line string) error {
		switch p {
		case syslog.LOG_ERR:
			return w.Err(line)
		case syslog.LOG_WARNING:
			return w.Warning(line)
		case syslog.LOG_INFO:
			return w.Info(line)
		}
		return w.Debug(line)
	}
}

// writeJournal puts the priority in front of the line, as sd-daemon(3) wants it
// on a stderr that the journal reads.
func writeJournal(p syslog.Priority, line string) error {
	_, err := fmt.Fprintf(os.Stderr, "<%d>%s", p, line)
	return err
}
