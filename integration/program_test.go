package integration

import "testing"

// program is one case: what a user types, and how to see that it worked.
//
// script runs in the empty directory of a target, check in the same place on
// plain, and through a second mount on the others. Both are bash, with $SRC (the
// source tree) and $T (a local scratch directory of this case).
type program struct {
	name   string
	needs  []string                    // programs besides coreutils
	flags  []string                    // of pailfs mount
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
