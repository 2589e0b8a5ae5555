package main

import (
	"io"
	"log/slog"
	"log/syslog"
	"os"
	"path/filepath"

	"github.com/coreos/go-systemd/v22/journal"
	"github.com/pailfs/pailfs/cmd/pailfs/internal/control"
	"github.com/pailfs/pailfs/mountopts"
)

// logOutput is where a server process writes.
type logOutput struct {
	log   *slog.Logger
	level *slog.LevelVar // may be changed while it runs
	file  *logFile       // nil: syslog, the journal, or stderr
	ours  bool           // the file was nobody's choice
}

// openLog chooses: --log-file, else stderr in the foreground, else syslog, else
// a file in the state directory.
func openLog(o *mountopts.Options, background bool) (*logOutput, error) {
	out := &logOutput{level: new(slog.LevelVar)}
	if err := out.level.UnmarshalText([]byte(o.LogLevel)); err != nil {
		return nil, err
	}
	if o.Debug {
		out.level.Set(slog.LevelDebug)
	}
	opt := &slog.HandlerOptions{Level: out.level}
	clean := func(w io.Writer) io.Writer { return w }
	if len(o.Secrets()) > 0 {
		clean = func(w io.Writer) io.Writer { return scrubWriter{w, o} }
	}
	path := o.LogFile
	switch {
	case path != "":
	case !background:
		if toJournal, err := journal.StderrIsJournalStream(); err == nil && toJournal && o.LogFormat == "auto" {
			out.log = slog.New(newPriorityHandler(writeJournal, clean, opt))
		} else {
			out.log = slog.New(newHandler(clean(os.Stderr), o.LogFormat, isTerminal(os.Stderr), opt))
		}
		return out, nil
	default:
		if w, err := syslog.New(syslog.LOG_DAEMON|syslog.LOG_INFO, "pailfs"); err == nil {
			out.log = slog.New(newPriorityHandler(syslogTo(w), clean, opt))
			return out, nil
		}
		if err := os.MkdirAll(o.StateDir, 0o700); err != nil {
			return nil, err
		}
		path = filepath.Join(o.StateDir, control.Name(o.Mountpoint)+".log")
	}
	var err error
	if out.file, err = openLogFile(path); err != nil {
		return nil, err
	}
	out.ours = o.LogFile == ""
	out.log = slog.New(newHandler(clean(out.file), o.LogFormat, false, opt))
	return out, nil
}

// newHandler writes text for people, who sit at a terminal, and JSON for others,
// unless the format says which.
func newHandler(w io.Writer, format string, terminal bool, opt *slog.HandlerOptions) slog.Handler {
	if format == "text" || format == "auto" && terminal {
		return slog.NewTextHandler(w, opt)
	}
	return slog.NewJSONHandler(w, opt)
}

// close removes a log that nobody asked for when it says nothing.
func (l *logOutput) close() {
	if l.file != nil {
		l.file.close(l.ours)
	}
}
