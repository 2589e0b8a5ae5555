package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/pflag"
)

func main() {
	if isWorker() {
		os.Exit(runWorker())
	}
	// After the first signal a second one ends the process at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the whole program. It returns the exit code: 1 when nothing could be
// measured, or when a measurement of pailfs or of the raw SDK failed.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	cfg, err := parseFlags(args, stderr)
	if errors.Is(err, pflag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 2
	}
	b, err := setUp(ctx, cfg, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	defer b.tearDown()
	results := b.rounds(ctx)
	report := b.report(results)
	io.WriteString(stdout, report)
	if cfg.out != "" {
		if err := os.WriteFile(cfg.out, []byte(report), 0o644); err != nil {
			fmt.Fprintln(stderr, "bench:", err)
			return 1
		}
	}
	if ctx.Err() != nil || oursFailed(results) {
		return 1
	}
	return 0
}

func oursFailed(results []result) bool {
	for _, r := range results {
		if r.err != nil && (r.contender == "pailfs" || r.contender == ceiling) {
			return true
		}
	}
	return len(results) == 0
}
