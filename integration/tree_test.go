package integration

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// entry is one file, directory or symlink of a tree, as a program sees it.
type entry struct {
	kind    byte // f, d or l, as find -printf %y
	mode    string
	owner   string // uid:gid
	size    int64  // of a file
	mtime   float64
	target  string // of a symlink
	content string // SHA-256 of a file, in hexadecimal
}

// tree reads a whole tree through bash, whose deadline ends a read that hangs.
func (s shell) tree(t testing.TB) map[string]entry {
	t.Helper()
	const fields = 8
	out := s.run(t, `find . -mindepth 1 -printf '%P\t%y\t%m\t%U:%G\t%s\t%T@\t%l\n' | LC_ALL=C sort > "$T/.tree"
		find . -type f -print0 | xargs -0 -r sha256sum -z | tr '\0' '\n' > "$T/.sums"
		cat "$T/.tree"; echo; cat "$T/.sums"`)
	list, sums, _ := strings.Cut(out, "\n\n")
	if strings.HasPrefix(out, "\n") {
		list, sums = "", out[1:]
	}
	entries := map[string]entry{}
	for line := range strings.Lines(list) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != fields-1 {
			t.Fatalf("find printed %q", line)
		}
		e := entry{kind: f[1][0], mode: f[2], owner: f[3], target: f[6]}
		e.mtime, _ = strconv.ParseFloat(f[5], 64)
		if e.kind == 'f' {
			e.size, _ = strconv.ParseInt(f[4], 10, 64)
		}
		entries[f[0]] = e
	}
	for line := range strings.Lines(sums) {
		sum, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "  ./")
		e, ok := entries[name]
		if !ok {
			t.Fatalf("sha256sum printed %q, which find did not list", line)
		}
		e.content = sum
		entries[name] = e
	}
	return entries
}

// mtimeSlack is how far, in seconds, the time of a file may move when the mount is
// renewed: that of a large file which nobody set is that of the commit, which may
// take a while on a busy machine, and a store may keep only seconds.
const mtimeSlack = 60.0

// sameTree compares what two mounts show.
func sameTree(t testing.TB, what string, want, got map[string]entry) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(want)) {
		w, g := want[name], got[name]
		d := g.mtime - w.mtime
		if w.kind == 'd' || (d < mtimeSlack && d > -mtimeSlack) {
			g.mtime = w.mtime
		}
		if w != g {
			t.Errorf("%s: %s\n was %v\n now %v", what, name, w, g)
		}
	}
	for name, g := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s: %s was not there, now %v", what, name, g)
		}
	}
}

func (e entry) String() string {
	if e.kind == 0 {
		return "missing"
	}
	return fmt.Sprintf("%c %s %s %d bytes at %.3f %s%.16s", e.kind, e.mode, e.owner, e.size, e.mtime, e.target, e.content)
}
