package main

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pailfs/pailfs/integration/bench/shapedproxy"
)

func measured(row, link, contender string, seconds float64, kinds map[string]int) result {
	r := result{row: row, link: link, contender: contender, wall: time.Duration(seconds * float64(time.Second)),
		usage: usage{cpu: 1500 * time.Millisecond, memory: 100 << 20, disk: 3 << 20}, server: 500 * time.Millisecond}
	for _, n := range kinds {
		r.counts.Requests += n
	}
	r.counts.ByKind = kinds
	return r
}

func TestReport(t *testing.T) {
	b := testBench(t, "--files", "10", "--objects", "2000", "--contenders", "^(pailfs|sdk)$")
	b.size = 1 << 30
	b.links = []link{{name: "shaped", proxy: new(shapedproxy.Proxy)}}
	late := measured("files", "shaped", "rclone", 3, map[string]int{"PUT": 10, "HEAD": 10})
	late.lag = time.Second
	results := []result{
		measured("write-1m", "shaped", "pailfs", 6, nil),
		measured("write-1m", "shaped", "sdk", 4.5, nil),
		measured("write-1m", "shaped", "pailfs", 5, map[string]int{"PART": 128}),
		measured("write-1m", "shaped", "sdk", 4.5, nil),
		measured("write-1m", "shaped", "pailfs", 4, nil),
		measured("files", "shaped", "pailfs", 1, map[string]int{"PUT": 10, "LIST": 1}),
		late,
		{row: "list", link: "shaped", contender: "s3fs", err: errors.New("not done\nin | 10m")},
	}
	got := b.report(results)
	got = got[strings.Index(got, "### Shaped"):]
	want := `### Shaped link

| what | contender | seconds (least-most) | MB/s | of the ceiling | requests | peak memory MiB | disk MiB | CPU s | server CPU s | rounds |
|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|
| write 1GiB, bs=1M | pailfs | 5.00 (4.00-6.00) | 215 | 0.90 | 0 | 100 | 3 | 1.50 | 0.50 | 3 |
| write 1GiB, bs=1M | sdk | 4.50 (4.50-4.50) | 239 | 1.00 | 0 | 100 | 3 | 1.50 | 0.50 | 2 |
| create 10 files of 10KiB | pailfs | 1.00 (1.00-1.00) |  |  | 11 (1.10 a file) | 100 | 3 | 1.50 | 0.50 | 1 |
| create 10 files of 10KiB | rclone | 3.00 (3.00-3.00), 1.00 of it after close |  |  | 20 (2.00 a file) | 100 | 3 | 1.50 | 0.50 | 1 |
| ls -l of 2000 objects | s3fs | failed: not done in \| 10m | | | | | | | | |

### pailfs against its goals

| goal | measured | wanted | |
|---|--:|--:|---|
| write, shaped: rate against the raw SDK | 0.90 | at least 0.90 | met |
| small files: requests each | 1.10 | at most 1.20 | met |

`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}

func TestGoals(t *testing.T) {
	all := lines([]result{
		measured("write-1m", "direct", "pailfs", 4, nil), measured("write-1m", "direct", "s3fs", 3, nil),
		measured("write-4k", "direct", "pailfs", 8, nil),
		measured("list", "shaped", "pailfs", 0.5, map[string]int{"LIST": 10, "HEAD": 2}),
		measured("list", "shaped", "sdk", 0.4, nil),
	})
	var got []string
	for _, g := range goalsOf(all, 1) {
		if g.met() {
			t.Errorf("met: %+v", g)
		}
		got = append(got, g.text)
	}
	want := []string{
		"write, direct: rate against s3fs", "write, direct: rate of bs=4k against bs=1M",
		"ls -l, shaped: time against the raw listing", "ls -l: requests that are not LIST",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestMedianIsAMeasuredValue(t *testing.T) {
	for _, c := range []struct {
		in   []int
		want int
	}{{[]int{3}, 3}, {[]int{4, 1}, 1}, {[]int{9, 1, 5}, 5}, {[]int{8, 2, 4, 6}, 4}} {
		if got := median(c.in); got != c.want {
			t.Errorf("median(%v) = %d, want %d", c.in, got, c.want)
		}
	}
}

func TestOursFailed(t *testing.T) {
	bad := errors.New("x")
	for _, c := range []struct {
		results []result
		want    bool
	}{
		{nil, true},
		{[]result{{contender: "pailfs"}}, false},
		{[]result{{contender: "pailfs"}, {contender: "rclone", err: bad}}, false},
		{[]result{{contender: "pailfs", err: bad}}, true},
		{[]result{{contender: "sdk", err: bad}}, true},
	} {
		if got := oursFailed(c.results); got != c.want {
			t.Errorf("oursFailed(%v) = %v", c.results, got)
		}
	}
}

// TestContendersAreNamedInTheHelp keeps the usage text true.
func TestContendersAreNamedInTheHelp(t *testing.T) {
	var usage strings.Builder
	if _, err := parseFlags([]string{"--help"}, &usage); err == nil {
		t.Fatal("--help is no error")
	}
	for _, c := range contenders() {
		if !regexp.MustCompile(`\b` + c.name + `\b`).MatchString(usage.String()) {
			t.Errorf("%s is not in the help", c.name)
		}
	}
	for _, r := range testBench(t).rows() {
		if !strings.Contains(usage.String(), r.name) {
			t.Errorf("%s is not in the help", r.name)
		}
	}
}
