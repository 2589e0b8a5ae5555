package main

import (
	"context"
	"log/slog"
	"os"
	"time"
)

// reload does what SIGHUP asks of a server process, each time it comes: it goes
// on in a new log file, where the old one was moved away, and reads the
// credentials again.
func reload(ctx context.Context, hup <-chan os.Signal, out *logOutput, reread []func(context.Context) error) {
	for {
		select {
		case <-hup:
			reloadOnce(ctx, out, reread)
		case <-ctx.Done():
			return
		}
	}
}

func reloadOnce(ctx context.Context, out *logOutput, reread []func(context.Context) error) {
	if out.file != nil {
		if err := out.file.reopen(); err != nil {
			out.log.Error("the log cannot be opened again", "err", err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := rereadAll(reread)(ctx); err != nil {
		out.log.Error("the credentials cannot be read again, the old ones stay", "err", err)
		return
	}
	out.log.Log(ctx, slog.LevelInfo, "reloaded")
}

// rereadAll is one function for all that take credentials from where they came.
func rereadAll(reread []func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		for _, read := range reread {
			if err := read(ctx); err != nil {
				return err
			}
		}
		return nil
	}
}
