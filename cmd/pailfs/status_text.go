package main

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/pailfs/pailfs/cmd/pailfs/internal/control"
)

// printStatus shows one mount to people. With the status of a moment ago it
// shows the rates of now.
func printStatus(out io.Writer, s control.Status, before *control.Status) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	health := s.Health
	if s.Reason != "" {
		health += ": " + s.Reason
	}
	fmt.Fprintf(w, "%s at %s: %s\n", s.Source, s.Mountpoint, health)
	fmt.Fprintf(w, "process %d, up %s, %s\n", s.PID, s.Now.Sub(s.Started).Round(time.Second), s.Version)
	up, down, spoken := "", "", ""
	if before != nil {
		took := s.Now.Sub(before.Now)
		up = fmt.Sprintf(" (%s/s)", readable(int64(rate(s.Sent-before.Sent, took))))
		down = fmt.Sprintf(" (%s/s)", readable(int64(rate(s.Received-before.Received, took))))
	}
	if s.LastCommit != nil {
		spoken = fmt.Sprintf(", the last %s ago", s.Now.Sub(*s.LastCommit).Round(time.Second))
	}
	fmt.Fprintf(w, "sent %s%s, received %s%s, %d files committed%s\n", readable(s.Sent), up, readable(s.Received), down, s.Commits, spoken)
	if c := s.Cost; c != nil {
		fmt.Fprintf(w, "requests cost about %s USD, at %s\n", usd(c.USD), c.Basis)
	} else if !strings.HasPrefix(s.Source, "file:") {
		fmt.Fprintf(w, "requests cost an unknown amount: no prices of this provider are known\n")
	}
	printFiles(w, s)
	if len(s.Transfers) > 0 {
		fmt.Fprintf(w, "\ntransfers:\n")
	}
	for _, t := range s.Transfers {
		amount := readable(t.Bytes)
		if t.Size > 0 {
			amount += " of " + readable(t.Size)
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s/s\n", t.Direction, shownKey(t.Key), amount, readable(int64(t.Rate)))
	}
	if c := s.Cache; c != nil {
		place := "in memory"
		if c.Limit > 0 {
			place = readable(c.Used) + " of " + readable(c.Limit)
		}
		fmt.Fprintf(w, "\ncache: %s, %d hits, %d misses, %d errors\n", place, c.Hits, c.Misses, c.Errors)
	}
	if len(s.Calls) > 0 {
		fmt.Fprintf(w, "\ncalls\tcount\tmean\tbytes\terrors\n")
	}
	for _, op := range slices.Sorted(maps.Keys(s.Calls)) {
		c := s.Calls[op]
		mean := time.Duration(c.Seconds / float64(max(c.Calls, 1)) * float64(time.Second))
		fmt.Fprintf(w, "  %s\t%d\t%s\t%s\t%s\n", op, c.Calls, mean.Round(100*time.Microsecond), readable(c.Bytes), errorKinds(c.Errors))
	}
	return w.Flush()
}

// usd shows an amount of money with at least two digits that mean something.
func usd(amount float64) string {
	if amount >= .1 || amount == 0 {
		return strconv.FormatFloat(amount, 'f', 2, 64)
	}
	return strconv.FormatFloat(amount, 'f', max(2, 1-int(math.Floor(math.Log10(amount)))), 64)
}

func printFiles(w io.Writer, s control.Status) {
	if len(s.Uncommitted) > 0 {
		fmt.Fprintf(w, "\nnot committed yet:\n")
	}
	for _, f := range s.Uncommitted {
		state := "waiting"
		if f.Open {
			state = "open for writing"
		}
		if f.Local {
			state = "on the local disk"
		}
		if f.Since != nil {
			state += " for " + s.Now.Sub(*f.Since).Round(time.Second).String()
		}
		if f.Err != "" {
			state += ", " + f.Err
		}
		fmt.Fprintf(w, "  %s\t%s of %s sent\t%s\n", shownKey(f.Key), readable(f.Sent), readable(f.Size), state)
	}
	if len(s.Failed) > 0 {
		fmt.Fprintf(w, "\nnot saved:\n")
	}
	for _, u := range s.Failed {
		fmt.Fprintf(w, "  %s\n", u)
	}
}

func errorKinds(kinds map[string]int64) string {
	var out []string
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		out = append(out, fmt.Sprintf("%d %s", kinds[kind], kind))
	}
	return strings.Join(out, ", ")
}

// shownKey keeps what a key may hold from doing something to a terminal.
func shownKey(key string) string {
	if quoted := strconv.Quote(key); quoted != `"`+key+`"` {
		return quoted
	}
	return key
}

func objectLine(o control.Object) string {
	line := fmt.Sprintf("%s: committed, %d bytes, version %s", shownKey(o.Key), o.Size, o.Version)
	for _, name := range slices.Sorted(maps.Keys(o.Checksum)) {
		line += fmt.Sprintf(", %s %s", name, o.Checksum[name])
	}
	return line
}
