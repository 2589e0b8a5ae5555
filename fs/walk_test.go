package fs

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/faultstore"
	"github.com/pailfs/pailfs/objstore/memstore"
)

// A walk through a tree costs hardly more requests than there are pages of
// listings. PAILFS_TEST_OBJECTS sets how many objects there are.
func TestWalk(t *testing.T) {
	const perDir = 100
	dirs := 15
	if v := os.Getenv("PAILFS_TEST_OBJECTS"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			t.Fatal(err)
		}
		dirs = n / perDir
	}
	if _, err := exec.LookPath("rsync"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	for _, tree := range []struct {
		name          string
		bare, markers bool
	}{
		{"listings with metadata", false, false},
		{"listings with metadata, markers", false, true},
		{"bare listings", true, false},
		{"bare listings, markers", true, true},
	} {
		inner := memstore.New(memstore.Options{
			Caps: func(c *objstore.Caps) { c.ListMetadata = !tree.bare },
			Now:  func() time.Time { return time.Now().Add(-time.Hour) },
		})
		put := func(key string, n int64) {
			_, err := inner.Put(t.Context(), key, io.NewSectionReader(bytes.NewReader(make([]byte, n)), 0, n), objstore.PutOptions{})
			if err != nil {
				t.Fatal(err)
			}
		}
		pages, objects := 1+dirs, 0
		for d := range dirs {
			if tree.markers {
				put(fmt.Sprintf("d%04d/", d), 0)
				objects++
			}
			for f := range perDir {
				put(fmt.Sprintf("d%04d/f%03d", d, f), 1)
				objects++
			}
		}
		if !tree.bare {
			objects = 0 // nothing need be asked for each of them
		}
		programs := []string{"du -s", "rsync -an . /nowhere"}
		if !tree.bare {
			programs = append(programs, "find .", "find . -ls", "ls -lR")
		}
		for _, program := range programs {
			t.Run(tree.name+", "+program, func(t *testing.T) {
				t.Parallel()
				store, faults := faultstore.Wrap(inner)
				m := mountStore(t, Options{Store: store, AttrTTL: 2 * time.Second})
				walk := func(pass string, least int) {
					t.Helper()
					faults.Reset()
					m.sh(program + " > /dev/null")
					got := len(faults.Calls())
					t.Logf("%s: %d requests, least %d", pass, got, least)
					if limit := least + least/10; got > limit {
						t.Errorf("%s: %d requests, least %d", pass, got, least)
					}
				}
				walk("first", pages+objects)
				if program != "du -s" {
					return
				}
				time.Sleep(2100 * time.Millisecond) // nothing is believed unasked any more
				walk("second", pages)
			})
		}
	}
}

// The second walk, when all directories are known and none is believed, does not
// wait for a round trip in each.
func TestWalkAgainIsListedAhead(t *testing.T) {
	const dirs, latency = 60, 150 * time.Millisecond
	inner := memstore.New(memstore.Options{})
	store, faults := faultstore.Wrap(inner)
	m := mountStore(t, Options{Store: store, AttrTTL: time.Second})
	for d := range dirs {
		m.put(fmt.Sprintf("d%03d/f", d), "x", nil)
	}
	m.sh("ls -lR > /dev/null")
	time.Sleep(1100 * time.Millisecond)
	faults.Reset()
	faults.Add(faultstore.Rule{Op: faultstore.List, Delay: latency})
	begun := time.Now()
	m.sh("ls -lR > /dev/null")
	took, serial := time.Since(begun), dirs*latency
	if took > serial/2 {
		t.Errorf("%v, one by one %v", took, serial)
	}
	if n := len(faults.Calls()); n > (1+dirs)*11/10 {
		t.Errorf("%d requests of %d pages", n, 1+dirs)
	}
	t.Logf("%v, one by one %v", took, serial)
}

// What we have just made is known: creating files in it asks the store for none
// of their names.
func TestNewDirectoryIsKnown(t *testing.T) {
	store, faults := faultstore.Wrap(memstore.New(memstore.Options{}))
	m := mountStore(t, Options{Store: store, AttrTTL: time.Minute})
	m.sh("mkdir d")
	faults.Reset()
	m.sh("for i in $(seq 20); do echo x > d/f$i; done")
	if n := len(faults.Calls()) - faults.Count(faultstore.Put, ""); n > 0 {
		t.Errorf("%d requests besides those that write", n)
	}
}
