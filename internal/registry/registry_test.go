package registry

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func left(t *testing.T, dir string, fail ...string) []string {
	t.Helper()
	var got []string
	err := Orphans(dir, func(entry string) error {
		got = append(got, entry)
		if slices.Contains(fail, entry) {
			return errors.New("not now")
		}
		return nil
	})
	if (err != nil) != (len(fail) > 0) {
		t.Errorf("Orphans: %v", err)
	}
	slices.Sort(got)
	return got
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestOrphansOfADeadProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	r, err := Open(dir)
	must(t, err)
	for _, e := range []string{"a", "b\nodd \xff", "c"} {
		must(t, r.Begin(e))
	}
	must(t, r.End("a"))
	if got := left(t, dir); len(got) != 0 {
		t.Fatalf("a living process has orphans: %q", got)
	}
	must(t, r.file.Close()) // it dies
	if got := left(t, dir, "c"); !slices.Equal(got, []string{"b\nodd \xff", "c"}) {
		t.Fatalf("orphans = %q", got)
	}
	if got := left(t, dir); !slices.Equal(got, []string{"c"}) {
		t.Fatalf("what could not be ended is %q", got)
	}
	if got := left(t, dir); len(got) != 0 {
		t.Fatalf("still there: %q", got)
	}
}

func TestNothingIsLeftOfAnOrderlyProcess(t *testing.T) {
	dir := t.TempDir()
	r, err := Open(dir)
	must(t, err)
	must(t, r.Begin("a"))
	must(t, r.End("a"))
	must(t, r.Close())
	if names, _ := os.ReadDir(dir); len(names) != 0 {
		t.Errorf("left: %v", names)
	}
}

func TestALineCutShort(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "1-x.reg"), []byte("+\"a\"\n+\"b"), 0600))
	if got := left(t, dir); !slices.Equal(got, []string{"a"}) {
		t.Errorf("orphans = %q", got)
	}
}

func TestNilRemembersNothing(t *testing.T) {
	var r *Registry
	must(t, r.Begin("a"))
	must(t, r.End("a"))
	must(t, r.Close())
}
