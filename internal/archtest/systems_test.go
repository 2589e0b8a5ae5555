package archtest

import (
	"go/build"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// perSystem are the files that are not for every system, without what tells them
// apart: _linux and _other, or _fuse and _none.
var perSystem = []string{
	"cmd/pailfs/cache.go", // of a mount
	"cmd/pailfs/internal/control/peer",
	"cmd/pailfs/internal/mounts/unmount",
	"cmd/pailfs/mount",
	"cmd/pailfs/system",
	"objstore/dirstore/system",
}

// What differs between systems has few places: all other files are compiled
// on each.
func TestFilesPerSystem(t *testing.T) {
	var systems []build.Context
	for _, system := range []string{"linux/amd64", "linux/arm", "darwin/arm64", "freebsd/amd64"} {
		ctx := build.Default
		ctx.GOOS, ctx.GOARCH, _ = strings.Cut(system, "/")
		systems = append(systems, ctx)
	}
	var found []string
	err := filepath.WalkDir("../..", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		n := 0
		for _, ctx := range systems {
			ok, err := ctx.MatchFile(filepath.Dir(path), filepath.Base(path))
			if err != nil {
				return err
			}
			if ok {
				n++
			}
		}
		if n == 0 || n == len(systems) {
			return nil
		}
		name := strings.TrimPrefix(filepath.ToSlash(path), "../../")
		for _, suffix := range []string{"_linux.go", "_other.go", "_fuse.go", "_none.go"} {
			name = strings.TrimSuffix(name, suffix)
		}
		if !slices.Contains(found, name) {
			found = append(found, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	if !slices.Equal(found, perSystem) {
		t.Errorf("not for every system: %q, want %q", found, perSystem)
	}
}
