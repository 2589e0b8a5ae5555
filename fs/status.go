package fs

import (
	"slices"
	"strings"
	"time"
)

// Uncommitted is a file whose last changes the store does not have yet.
type Uncommitted struct {
	Key   string
	Size  int64     // bytes
	Since time.Time // of the first change; zero when only attributes changed
	Open  bool      // somebody has it open for writing
	Local bool      // it was closed, and the local disk has it
	Err   error     // of the last try to commit it; nil if none failed
}

// Uncommitted lists, by key, what a commit would save.
func (s *Server) Uncommitted() []Uncommitted {
	files, _ := s.m.root.below()
	var out []Uncommitted
	for _, f := range files {
		if u, ok := f.uncommitted(); ok && !s.m.tree.isUnlinked(&f.place) {
			u.Key = s.m.tree.path(&f.place)
			out = append(out, u)
		}
	}
	slices.SortFunc(out, func(a, b Uncommitted) int { return strings.Compare(a.Key, b.Key) })
	return out
}

func (f *file) uncommitted() (Uncommitted, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	u := Uncommitted{Size: f.attr.size, Since: f.changedAt, Open: f.writers > 0, Local: f.covered(), Err: f.flushErr}
	return u, f.unsavedLocked()
}

// Unsaved lists what could not be saved since the mount began.
func (s *Server) Unsaved() []Unsaved {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	return slices.Clone(s.m.failed)
}
