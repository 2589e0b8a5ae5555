package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/pailfs/pailfs/mountopts"
)

// line is one line of the table: what the rounds of one measurement came to.
type line struct {
	result
	rounds         int
	wall, min, max time.Duration // wall is the median
	cpu, server    time.Duration // median
	memory, disk   int64         // most
	requests       int           // median
	lag            time.Duration // median
	err            error         // of the first round that failed
}

// lines puts the rounds of each measurement together, in the order in which
// they were first measured.
func lines(results []result) []line {
	var order [][3]string
	by := map[[3]string][]result{}
	for _, r := range results {
		id := [3]string{r.row, r.link, r.contender}
		if by[id] == nil {
			order = append(order, id)
		}
		by[id] = append(by[id], r)
	}
	var out []line
	for _, id := range order {
		out = append(out, oneLine(by[id]))
	}
	return out
}

func oneLine(rounds []result) line {
	l := line{result: rounds[0]}
	var walls, cpus, servers, lags []time.Duration
	var requests []int
	for _, r := range rounds {
		if r.err != nil {
			if l.err == nil {
				l.err = r.err
			}
			continue
		}
		l.rounds++
		l.memory, l.disk = max(l.memory, r.usage.memory), max(l.disk, r.usage.disk)
		walls, lags = append(walls, r.wall), append(lags, r.lag)
		cpus, servers = append(cpus, r.usage.cpu), append(servers, r.server)
		requests = append(requests, r.counts.Requests)
	}
	if l.rounds > 0 {
		l.wall, l.min, l.max = median(walls), slices.Min(walls), slices.Max(walls)
		l.cpu, l.server, l.lag, l.requests = median(cpus), median(servers), median(lags), median(requests)
	}
	return l
}

// median of an even number is the lower one of the two in the middle: a value
// that was measured.
func median[T time.Duration | int](v []T) T {
	v = slices.Clone(v)
	slices.Sort(v)
	return v[(len(v)-1)/2]
}

func find(all []line, link, row, contender string) (line, bool) {
	i := slices.IndexFunc(all, func(l line) bool {
		return l.link == link && l.row == row && l.contender == contender && l.rounds > 0
	})
	if i < 0 {
		return line{}, false
	}
	return all[i], true
}

// report writes the tables in Markdown.
func (b *bench) report(results []result) string {
	var w strings.Builder
	all := lines(results)
	b.conditions(&w)
	for _, l := range b.links {
		b.table(&w, l, all)
	}
	b.goals(&w, all)
	return w.String()
}

// conditions says under which the figures were taken.
func (b *bench) conditions(w *strings.Builder) {
	fmt.Fprintf(w, "Measured on %s over %s: %d CPUs, Linux %s, %s. Rounds: %d at most; parts of %s, %d requests in flight; page cache %s.\n\n",
		time.Now().UTC().Format(time.DateOnly), b.store, runtime.NumCPU(), kernel(), strings.Join(versions(func(peer string) bool { return b.store == "s3" && b.config.contenders.MatchString(peer) }), ", "),
		b.config.rounds, sizeText(b.partSize), b.parallel, map[bool]string{true: "dropped before cold reads", false: "not dropped"}[b.drop])
	if b.proxy.plain > 0 {
		fmt.Fprintf(w, "Shaped link: asked for %v and %.0f MB/s a connection, measured %.1f ms and %.1f MB/s. One stream of the same server without the proxy: %.0f MB/s; through the proxy without its shape: %.0f MB/s.\n\n",
			b.latency, float64(b.rate)/1e6, float64(b.proxy.latency)/1e6, b.proxy.shaped/1e6, b.proxy.plain/1e6, b.proxy.unshaped/1e6)
	}
}

func (b *bench) table(w *strings.Builder, l link, all []line) {
	fmt.Fprintf(w, "### %s link\n\n", strings.ToUpper(l.name[:1])+l.name[1:])
	fmt.Fprintln(w, "| what | contender | seconds (least-most) | MB/s | of the ceiling | requests | peak memory MiB | disk MiB | CPU s | server CPU s | rounds |")
	fmt.Fprintln(w, "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
	for _, r := range b.rows() {
		for _, x := range all {
			if x.link != l.name || x.row != r.name {
				continue
			}
			if x.rounds == 0 {
				fmt.Fprintf(w, "| %s | %s | failed: %s | | | | | | | | |\n", r.title, x.contender, cell(x.err.Error()))
				continue
			}
			fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s | %d | %d | %.2f | %.2f | %s |\n",
				r.title, x.contender, secondsText(x), rateText(r, x), ratioText(all, x), requestsText(l, r, x),
				x.memory>>20, x.disk>>20, x.cpu.Seconds(), x.server.Seconds(), roundsText(x))
		}
	}
	fmt.Fprintln(w)
}

func secondsText(x line) string {
	s := fmt.Sprintf("%.2f (%.2f-%.2f)", x.wall.Seconds(), x.min.Seconds(), x.max.Seconds())
	if x.lag > 0 {
		s += fmt.Sprintf(", %.2f of it after close", x.lag.Seconds())
	}
	if x.note != "" {
		s += "; " + x.note
	}
	return s
}

func rateText(r row, x line) string {
	if r.volume == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f", float64(r.volume)/1e6/x.wall.Seconds())
}

func ratioText(all []line, x line) string {
	if top, ok := find(all, x.link, x.row, ceiling); ok {
		return fmt.Sprintf("%.2f", top.wall.Seconds()/x.wall.Seconds())
	}
	return ""
}

func requestsText(l link, r row, x line) string {
	switch {
	case l.proxy == nil:
		return "" // nobody counts them
	case r.writes() && r.units > 0:
		return fmt.Sprintf("%d (%.2f a %s)", x.requests, float64(x.requests)/float64(r.units), r.unit)
	}
	return fmt.Sprintf("%d%s", x.requests, kindsText(x))
}

// kindsText says which requests there were, of the round that came first.
func kindsText(x line) string {
	var kinds []string
	for kind, n := range x.counts.ByKind {
		kinds = append(kinds, fmt.Sprintf("%d %s", n, kind))
	}
	if len(kinds) == 0 {
		return ""
	}
	slices.Sort(kinds)
	return " (" + strings.Join(kinds, ", ") + ")"
}

func roundsText(x line) string {
	if x.err != nil {
		return fmt.Sprintf("%d, then failed: %s", x.rounds, cell(x.err.Error()))
	}
	return fmt.Sprint(x.rounds)
}

// cell makes a text fit into one cell of a table.
func cell(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	return strings.ReplaceAll(s, "|", "\\|")
}

func sizeText(n int64) string { return mountopts.FormatSize(n) }

func kernel() string {
	var u syscall.Utsname
	if err := syscall.Uname(&u); err != nil {
		return "unknown"
	}
	var s strings.Builder
	for _, c := range u.Release {
		if c == 0 {
			break
		}
		s.WriteByte(byte(c))
	}
	return s.String()
}

// versions of the peers that take part, as they give them.
func versions(takesPart func(string) bool) []string {
	out := []string{runtime.Version()}
	for _, peer := range []string{"s3fs", "rclone"} {
		if !takesPart(peer) {
			continue
		}
		cmd := exec.Command(peer, "--version")
		cmd.Env = append(os.Environ(), "LC_ALL=C")
		text, err := cmd.Output()
		if err != nil {
			continue
		}
		first, _, _ := strings.Cut(string(text), "\n")
		out = append(out, strings.TrimSpace(first))
	}
	return out
}
