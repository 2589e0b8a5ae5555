package dirstore

import (
	"os"
	"path/filepath"
)

// Make makes a directory, and those above it that are missing, so that they
// outlive a power cut.
func Make(dir string) error {
	dir = filepath.Clean(dir)
	var parents []string // of what is missing
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Lstat(at); err == nil || at == filepath.Dir(at) {
			break
		}
		parents = append(parents, filepath.Dir(at))
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return classify("make", dir, err)
	}
	for _, p := range parents {
		f, err := os.Open(p)
		if err != nil {
			return classify("make", dir, err)
		}
		err = f.Sync()
		f.Close()
		if err != nil {
			return classify("make", dir, err)
		}
	}
	return nil
}
