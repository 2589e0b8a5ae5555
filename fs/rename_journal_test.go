package fs

import (
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/faultstore"
	"github.com/pailfs/pailfs/objstore/memstore"
)

// die leaves what was begun as a dead process does.
func (m *mount) die() {
	m.registry.Close()
	m.moves.Close()
}

// A mount that dies while it renames a directory leaves copies; the next one
// removes those that are too many, and nothing else.
func TestBrokenOffRenameIsSettled(t *testing.T) {
	for name, c := range map[string]struct {
		fault     faultstore.Op
		want      []string // after the next mount
		meanwhile func(m *mounted)
	}{
		"while copying":  {faultstore.Copy, []string{"new/theirs", "old/", "old/a", "old/b", "old/c", "old/sub/d"}, nil},
		"while removing": {faultstore.Delete, []string{"new/", "new/a", "new/b", "new/c", "new/sub/d", "new/theirs"}, nil},
		"while removing, then one is changed": {faultstore.Delete,
			[]string{"new/a", "new/theirs", "old/", "old/a", "old/b", "old/c", "old/sub/d"},
			func(m *mounted) { m.put("new/a", "changed", nil) }},
	} {
		t.Run(name, func(t *testing.T) {
			state := t.TempDir()
			m, faults := counting(t, Options{StateDir: state})
			m.sh(`mkdir old; for f in a b c; do echo $f > old/$f; done`)
			m.put("old/sub/d", "of somebody else", nil)
			m.sh(`ls -lR >/dev/null`)
			faults.Add(faultstore.Rule{Op: c.fault, Key: "*b", Err: objstore.ErrPermission})
			faults.Add(faultstore.Rule{Op: faultstore.Delete, Err: objstore.ErrPermission}) // dead: it cleans nothing up
			if out, err := m.try(`mv old new`); err == nil {
				t.Fatalf("renamed: %s", out)
			}
			faults.Clear()
			m.put("new/theirs", "theirs", nil)
			if c.meanwhile != nil {
				c.meanwhile(m)
			}
			m.server.m.die()
			after := mountStore(t, Options{StateDir: state, Store: m.store})
			after.server.m.late.Wait()
			m.wantKeys(c.want...)
			after.server.m.die()
			last := mountStore(t, Options{StateDir: state, Store: m.store})
			faults.Reset()
			last.server.m.late.Wait()
			if n := faults.Count(faultstore.Delete, ""); n != 0 {
				t.Errorf("settled twice: %d objects were removed", n)
			}
		})
	}
}

// A crash while a directory is renamed onto an empty one leaves that, and removes
// directories that a store has made for the first copy in them.
func TestBrokenOffRenameOverADirectory(t *testing.T) {
	state := t.TempDir()
	m, faults := counting(t, Options{StateDir: state})
	m.sh(`mkdir -p old/sub new; for f in a b; do echo $f > old/$f; done`)
	faults.Add(faultstore.Rule{Op: faultstore.Copy, Key: "*b", Err: objstore.ErrPermission})
	faults.Add(faultstore.Rule{Op: faultstore.Delete, Err: objstore.ErrPermission})
	if out, err := m.try(`mv -T old new`); err == nil {
		t.Fatalf("renamed: %s", out)
	}
	faults.Clear()
	if _, err := m.server.m.beginMove(move{From: "old/", To: "new/", Over: true}); err != nil {
		t.Fatal(err) // the call that failed ended it if it had copied nothing yet
	}
	m.put("new/sub/", "", nil)
	m.server.m.die()
	after := mountStore(t, Options{StateDir: state, Store: m.store})
	after.server.m.late.Wait()
	m.wantKeys("new/", "old/", "old/a", "old/b", "old/sub/")
}

// A mount that dies between the copy and the removal of a renamed file leaves both;
// the next one removes the old one, unless it was changed.
func TestBrokenOffRenameOfAFile(t *testing.T) {
	for name, c := range map[string]struct {
		meanwhile string
		want      []string
	}{
		"left alone": {"", []string{"new"}},
		"changed":    {"changed", []string{"new", "old"}},
	} {
		t.Run(name, func(t *testing.T) {
			state := t.TempDir()
			m, faults := counting(t, Options{StateDir: state})
			m.sh(`echo content > old`)
			old, err := m.store.Stat(t.Context(), "old")
			if err != nil {
				t.Fatal(err)
			}
			faults.Add(faultstore.Rule{Op: faultstore.Delete, Err: objstore.ErrPermission})
			if out, err := m.try(`mv old new`); err == nil {
				t.Fatalf("renamed: %s", out)
			}
			faults.Clear()
			if _, err := m.server.m.beginMove(move{From: "old", To: "new", Version: old.Version}); err != nil {
				t.Fatal(err) // the call that failed ended it
			}
			if c.meanwhile != "" {
				m.put("old", c.meanwhile, nil)
			}
			m.server.m.die()
			after := mountStore(t, Options{StateDir: state, Store: m.store})
			after.server.m.late.Wait()
			m.wantKeys(c.want...)
		})
	}
}

// FuzzOrphan: whatever a line of the state directory says, no content is lost that
// a program has written.
func FuzzOrphan(f *testing.F) {
	for _, line := range []string{
		"", "{}", "{", "null", "old/", ".pailfs/", privateKeys, privateKeys + "x/", `{"From":"","To":""}`, `{"From":"old/","To":"old/"}`,
		`{"From":"old/","To":""}`, `{"From":"","To":"old/"}`, `{"From":"old/","To":"new/"}`, `{"From":"old/a","To":"old/a"}`,
		`{"From":"old/a","To":"new/a","Version":"1"}`, `{"From":"old","To":"new/"}`, `{"From":"old/","To":"old/sub/"}`, `{"From":"old/sub/","To":"old/"}`,
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		store := memstore.New(memstore.Options{})
		opt := Options{Store: store, Log: slog.New(slog.DiscardHandler)}
		opt.setDefaults()
		m := newMount(opt)
		contents := map[string]bool{}
		for key, text := range map[string]string{"old/a": "a", "old/sub/a": "a", "old/b": "b", "new/a": "a", "new/b": "other", "a": "a", "b/": ""} {
			if _, err := store.Put(t.Context(), key, io.NewSectionReader(strings.NewReader(text), 0, int64(len(text))), objstore.PutOptions{}); err != nil {
				t.Fatal(err)
			}
			contents[text] = true
		}
		if err := m.settleOrphan(t.Context(), line); err != nil {
			t.Logf("%q: %v", line, err)
		}
		for o, err := range objstore.ListAll(t.Context(), store, objstore.ListRequest{}) {
			if err != nil {
				t.Fatal(err)
			}
			body, _, err := store.Get(t.Context(), o.Key, objstore.All, objstore.Cond{})
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(body)
			if err != nil {
				t.Fatal(err)
			}
			delete(contents, string(text))
		}
		if len(contents) > 0 {
			t.Errorf("%q: lost %v", line, contents)
		}
	})
}
