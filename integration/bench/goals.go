package main

import (
	"fmt"
	"strings"
)

// goal is one figure that pailfs aims at.
type goal struct {
	text  string
	value float64
	limit float64
	least bool // value is to be at least the limit, not at most
}

func (g goal) met() bool {
	if g.least {
		return g.value >= g.limit
	}
	return g.value <= g.limit
}

// goals says how pailfs stands against what it aims at, as far as this run
// measured it.
func (b *bench) goals(w *strings.Builder, all []line) {
	list := goalsOf(all, b.files)
	if len(list) == 0 {
		return
	}
	fmt.Fprint(w, "### pailfs against its goals\n\n| goal | measured | wanted | |\n|---|--:|--:|---|\n")
	for _, g := range list {
		bound, verdict := "at most", "missed"
		if g.least {
			bound = "at least"
		}
		if g.met() {
			verdict = "met"
		}
		fmt.Fprintf(w, "| %s | %.2f | %s %.2f | %s |\n", g.text, g.value, bound, g.limit, verdict)
	}
	fmt.Fprintln(w)
}

func goalsOf(all []line, files int) []goal {
	var list []goal
	// quick adds a goal on a rate: the time of one line over that of another.
	quick := func(text, link, row, of, ofRow string, limit float64) {
		ours, ok := find(all, link, row, "pailfs")
		theirs, ok2 := find(all, link, ofRow, of)
		if ok && ok2 {
			list = append(list, goal{text, theirs.wall.Seconds() / ours.wall.Seconds(), limit, true})
		}
	}
	quick("write, shaped: rate against the raw SDK", "shaped", "write-1m", ceiling, "write-1m", 0.9)
	for _, link := range []string{"direct", "shaped"} {
		for _, peer := range []string{"s3fs", "rclone"} {
			quick(fmt.Sprintf("write, %s: rate against %s", link, peer), link, "write-1m", peer, "write-1m", 1)
		}
		quick(fmt.Sprintf("write, %s: rate of bs=4k against bs=1M", link), link, "write-4k", "pailfs", "write-1m", 0.8)
	}
	quick("read, shaped: rate against the raw SDK", "shaped", "read", ceiling, "read", 0.9)
	if x, ok := find(all, "shaped", "files", "pailfs"); ok {
		list = append(list, goal{"small files: requests each", float64(x.requests) / float64(files), 1.2, false})
	}
	for _, link := range []string{"direct", "shaped"} {
		ours, ok := find(all, link, "list", "pailfs")
		theirs, ok2 := find(all, link, "list", ceiling)
		if ok && ok2 {
			list = append(list, goal{fmt.Sprintf("ls -l, %s: time against the raw listing", link),
				ours.wall.Seconds() / theirs.wall.Seconds(), 1.2, false})
		}
	}
	if x, ok := find(all, "shaped", "list", "pailfs"); ok {
		list = append(list, goal{"ls -l: requests that are not LIST", float64(x.requests - x.counts.ByKind["LIST"]), 0, false})
	}
	return list
}
