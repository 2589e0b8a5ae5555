package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// notify tells systemd, if it started us as Type=notify, what sd_notify(3)
// describes.
func notify(log *slog.Logger, state ...string) {
	if _, err := daemon.SdNotify(false, strings.Join(state, "\n")); err != nil {
		log.Debug("systemd is not told", "err", err)
	}
}

func status(text string) string { return "STATUS=" + text }

// extend asks systemd to wait so much longer, and some more, before it takes
// starting or stopping for failed.
func extend(d time.Duration) string {
	return fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", (d + 15*time.Second).Microseconds())
}

// keepWatchdog tells systemd's watchdog that the server lives, for as long as
// alive returns, twice in each interval of WatchdogSec=.
func keepWatchdog(ctx context.Context, log *slog.Logger, alive func()) {
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil || interval == 0 {
		return
	}
	tick := time.NewTicker(interval / 2)
	defer tick.Stop()
	for {
		alive()
		notify(log, daemon.SdNotifyWatchdog)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
