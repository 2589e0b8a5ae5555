package dirstore

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/pailfs/pailfs/objstore"
)

func TestMake(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b", "c")
	for range 2 { // there already: no error
		if err := Make(dir + "/"); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	var e *objstore.Error
	if err := Make(filepath.Join(file, "d")); !errors.As(err, &e) {
		t.Errorf("below a file: %v", err)
	}
}
