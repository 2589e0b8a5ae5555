package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"log/syslog"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"

	"github.com/pailfs/pailfs/cmd/pailfs/internal/control"
	"github.com/pailfs/pailfs/mountopts"
)

// logOutput is where a server process writes.
type logOutput struct {
	log  *slog.Logger
	file *os.File // nil: syslog, or the terminal
	ours bool     // the file was nobody's choice
}

// openLog chooses: --log-file, else the terminal in the foreground, else
// syslog, else a file in the state directory.
func openLog(o *mountopts.Options, background bool) (*logOutput, error) {
	level := slog.LevelInfo
	if o.Debug {
		level = slog.LevelDebug
	}
	opt := &slog.HandlerOptions{Level: level}
	clean := func(w io.Writer) io.Writer { return w }
	if len(o.Secrets()) > 0 {
		clean = func(w io.Writer) io.Writer { return scrubWriter{w, o} }
	}
	path := o.LogFile
	if path == "" {
		if !background {
			return &logOutput{log: slog.New(slog.NewTextHandler(clean(os.Stderr), opt))}, nil
		}
		if w, err := syslog.New(syslog.LOG_DAEMON|syslog.LOG_INFO, "pailfs"); err == nil {
			return &logOutput{log: slog.New(newSyslogHandler(w, clean, opt))}, nil
		}
		if err := os.MkdirAll(o.StateDir, 0o700); err != nil {
			return nil, err
		}
		path = filepath.Join(o.StateDir, control.Name(o.Mountpoint)+".log")
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	if err := debug.SetCrashOutput(f, debug.CrashOptions{}); err != nil {
		f.Close()
		return nil, err
	}
	return &logOutput{log: slog.New(slog.NewTextHandler(clean(f), opt)), file: f, ours: o.LogFile == ""}, nil
}

// close removes a log that nobody asked for when it says nothing.
func (l *logOutput) close() {
	if l.file == nil {
		return
	}
	if fi, err := l.file.Stat(); l.ours && err == nil && fi.Size() == 0 {
		os.Remove(l.file.Name())
	}
	l.file.Close()
}

// syslogHandler gives each record its level as priority and leaves the time to
// syslog.
type syslogHandler struct {
	slog.Handler
	out *syslogLine
}

type syslogLine struct {
	mu  sync.Mutex
	buf bytes.Buffer // one record, guarded by mu
	w   *syslog.Writer
}

func (l *syslogLine) Write(p []byte) (int, error) { return l.buf.Write(p) }

func newSyslogHandler(w *syslog.Writer, clean func(io.Writer) io.Writer, opt *slog.HandlerOptions) *syslogHandler {
	out := &syslogLine{w: w}
	plain := *opt
	plain.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
			return slog.Attr{}
		}
		return a
	}
	return &syslogHandler{slog.NewTextHandler(clean(out), &plain), out}
}

func (h *syslogHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &syslogHandler{h.Handler.WithAttrs(attrs), h.out}
}

func (h *syslogHandler) WithGroup(name string) slog.Handler {
	return &syslogHandler{h.Handler.WithGroup(name), h.out}
}

func (h *syslogHandler) Handle(ctx context.Context, r slog.Record) error {
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	h.out.buf.Reset()
	if err := h.Handler.Handle(ctx, r); err != nil {
		return err
	}
	text := h.out.buf.String()
	switch {
	case r.Level >= slog.LevelError:
		return h.out.w.Err(text)
	case r.Level >= slog.LevelWarn:
		return h.out.w.Warning(text)
	case r.Level >= slog.LevelInfo:
		return h.out.w.Info(text)
	}
	return h.out.w.Debug(text)
}
