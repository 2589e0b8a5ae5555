package integration

import (
	le "encoding/binary"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// partSize is the size of the first parts of an upload.
const partSize = 8 << 20

// sourceTree is a read-only tree that every case may copy from: sizes around
// pages and parts, modes, times in the past, symlinks, awkward names.
var sourceTree = sync.OnceValue(func() string {
	root := filepath.Join(runDir, "source")
	files := []struct {
		name string
		size int
		mode os.FileMode
	}{
		{"empty", 0, 0o644},
		{"one", 1, 0o600},
		{"page-1", 4095, 0o644},
		{"page", 4096, 0o640},
		{"page+1", 4097, 0o644},
		{"bin/tool", 100_000, 0o755},
		{"readonly", 5000, 0o444},
		{"big", 2*partSize + 12_345, 0o644},
		{"deep/er/still/file", 10_000, 0o644},
		{"names/a b", 10, 0o644},
		{"names/-dash", 10, 0o644},
		{"names/ü%20+&#;'\"=", 10, 0o644},
		{"names/a-", 1, 0o644},
		{"names/a/x", 1, 0o644},
		{"names/a.", 1, 0o644},
	}
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	old := time.Date(2020, 2, 29, 12, 34, 56, 0, time.UTC)
	for i, f := range files {
		path := filepath.Join(root, f.name)
		must(os.MkdirAll(filepath.Dir(path), 0o755))
		must(os.WriteFile(path, noise(uint64(i), f.size), 0o644))
		must(os.Chmod(path, f.mode))
		must(os.Chtimes(path, old, old.Add(time.Duration(i)*time.Hour)))
	}
	must(os.MkdirAll(filepath.Join(root, "hollow"), 0o750))
	must(os.Symlink("deep/er/still/file", filepath.Join(root, "link")))
	must(os.Symlink("../big", filepath.Join(root, "deep", "up")))
	must(os.Symlink("nowhere", filepath.Join(root, "dangling")))
	must(os.Symlink("deep", filepath.Join(root, "dirlink")))
	return root
})

// undottedTree is sourceTree without the name that ends in a dot.
var undottedTree = sync.OnceValue(func() string {
	root := filepath.Join(runDir, "undotted")
	if out, err := exec.Command("cp", "-a", sourceTree(), root).CombinedOutput(); err != nil {
		panic(string(out))
	}
	if err := os.Remove(filepath.Join(root, "names", "a.")); err != nil {
		panic(err)
	}
	return root
})

// noise is n bytes that do not compress, the same for each seed.
func noise(seed uint64, n int) []byte {
	r := rand.NewPCG(seed, 1)
	b := make([]byte, n+8)
	for i := 0; i < n; i += 8 {
		le.LittleEndian.PutUint64(b[i:], r.Uint64())
	}
	return b[:n]
}
