package integration

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

// program is one case: what a user types, and how to see that it worked.
//
// script runs in the empty directory of a target, check in the same place on
// plain, and through a second mount on the others. Both are bash, with $SRC (the
// source tree) and $T (a local scratch directory of this case).
type program struct {
	name   string
	needs  []string                    // programs besides coreutils
	flags  []string                    // of pailfs mount
	heavy  bool                        // once is enough: not on cloudTargets
	env    func(t testing.TB) []string // further environment
	script string
	check  string
}

// runPrograms runs every case on every target.
func runPrograms(t *testing.T, cases []program) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			need(t, c.needs...)
			onTargets(t, c.run, allTargets...)
		})
	}
	onTargets(t, func(t *testing.T, p *place) { runTogether(t, p, cases) }, cloudTargets...)
}

// runTogether runs the cases in one mount, each in a directory of its own, and
// checks them through a second one. Those that want a mount of their own are
// left out.
func runTogether(t *testing.T, p *place, cases []program) {
	first := p.mount(t)
	var shells []shell
	cases = slices.DeleteFunc(slices.Clone(cases), func(c program) bool { return len(c.flags) > 0 || c.heavy })
	for i, c := range cases {
		need(t, c.needs...)
		env := append(environ(tempDir(t)), p.src()...)
		if c.env != nil {
			env = append(env, c.env(t)...)
		}
		s := shell{dir: filepath.Join(first.dir, strconv.Itoa(i)), env: env}
		check(t, os.Mkdir(s.dir, 0o755))
		t.Run(c.name, func(t *testing.T) { s.run(t, c.script) })
		shells = append(shells, s)
	}
	all := shell{dir: first.dir, env: environ(tempDir(t))}
	written := all.tree(t)
	first.umount(t)

	second := p.mount(t)
	all.dir = second.dir
	sameTree(t, "through a second mount", written, all.tree(t))
	p.audit(t, written)
	for i, c := range cases {
		s := shells[i]
		s.dir = filepath.Join(second.dir, strconv.Itoa(i))
		t.Run(c.name+", checked", func(t *testing.T) { s.run(t, c.check) })
	}
	second.umount(t)
	p.leftovers(t)
}

// src is the source tree for a place that cannot hold all of it.
func (p *place) src() []string {
	if p.kind == "azure" { // drops the dot at the end of a name
		return []string{"SRC=" + undottedTree()}
	}
	return nil
}

func (c program) run(t *testing.T, p *place) {
	env := environ(tempDir(t))
	if c.env != nil {
		env = append(env, c.env(t)...)
	}
	first := p.mount(t, c.flags...)
	s := shell{dir: first.dir, env: env}
	s.run(t, c.script)
	if p.kind == "plain" {
		s.run(t, c.check)
		return
	}
	written := s.tree(t)
	first.umount(t)

	second := p.mount(t, c.flags...)
	s.dir = second.dir
	sameTree(t, "through a second mount", written, s.tree(t))
	p.audit(t, written)
	s.run(t, c.check)
	second.umount(t)
	p.leftovers(t)
}
