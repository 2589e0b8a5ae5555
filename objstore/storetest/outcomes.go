package storetest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pailfs/pailfs/objstore"
)

// Conformance is the environment variable that names a directory. There each
// TestContract leaves what came of its cases, one a line: its name, and "yes",
// "failed" or why there was nothing to do. docs/conformance.md is made of that.
const Conformance = "PAILFS_CONFORMANCE"

// outcomes are the lines of one run of all cases. Nil keeps none.
type outcomes struct{ lines []string }

// newOutcomes keeps those of a driver's own contract, and writes them when the
// test ends.
func newOutcomes(t *testing.T, s objstore.Store) *outcomes {
	test, mode, _ := strings.Cut(t.Name(), "/")
	dir := os.Getenv(Conformance)
	if dir == "" || test != "TestContract" || strings.Contains(mode, "/") {
		return nil
	}
	driver, _, _ := strings.Cut(strings.TrimPrefix(fmt.Sprintf("%T", s), "*"), ".")
	o := &outcomes{}
	t.Cleanup(func() {
		file := filepath.Join(dir, driver+"."+mode)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Error(err)
		}
		// The go command sees that the test opens the file, and so takes no result
		// from its cache that would leave none.
		if err := os.WriteFile(file, []byte(strings.Join(o.lines, "")), 0o644); err != nil {
			t.Error(err)
		}
	})
	return o
}

func (o *outcomes) add(name string, ok bool, lack string) {
	if o == nil {
		return
	}
	result := "yes"
	switch {
	case !ok:
		result = "failed"
	case lack != "":
		result = lack
	}
	o.lines = append(o.lines, name+"\t"+result+"\n")
}

// lacks notes that a case has nothing to do on this store, and why.
func (f *fixture) lacks(why string) {
	f.Helper()
	f.Log(why)
	f.lack = why
}
