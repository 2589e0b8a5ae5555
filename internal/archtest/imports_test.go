package archtest

import (
	"strings"
	"testing"
)

const module = "github.com/pailfs/pailfs"

// layer says what the packages at or below a path may import of this module.
// The longest path that fits a package is its layer. "x/..." is x and all below.
type layer struct {
	path string
	may  []string
}

// Imports point down only:
// cmd -> {mountopts, objstore/open, cache, fs}; fs -> {fs/*, objstore, cache};
// open -> drivers -> objstore -> the standard library.
var layers = []layer{
	{"cmd", []string{"mountopts", "objstore", "objstore/open", "objstore/countstore", "objstore/retrystore", "cache/...", "fs", "internal/..."}},
	{"mountopts", nil},
	{"fs", []string{"objstore", "cache/...", "internal/..."}},
	{"cache", []string{"objstore"}},
	{"objstore", nil},
	{"objstore/open", []string{"objstore/..."}},
	{"objstore/storetest", []string{"objstore", "objstore/faultstore", "objstore/memstore"}},
	{"objstore/", []string{"objstore", "objstore/internal/...", "internal/..."}}, // a driver, or a store over a store
	{"internal", nil}, // below everything
	{"integration", []string{"..."}},
}

// owners are the modules that one part of the tree alone may import.
var owners = []struct{ module, path string }{
	{"github.com/hanwen/go-fuse/", "fs"},
	{"github.com/aws/", "objstore/s3store"},
	{"cloud.google.com/", "objstore/gcsstore"},
	{"google.golang.org/", "objstore/gcsstore"},
	{"github.com/Azure/", "objstore/azstore"},
	{"github.com/spf13/cobra", "cmd"},
}

func layerOf(path string) (layer, bool) {
	var best layer
	found := false
	for _, l := range layers {
		fits := path == l.path || strings.HasPrefix(path, strings.TrimSuffix(l.path, "/")+"/")
		if fits && (!found || len(l.path) > len(best.path)) {
			best, found = l, true
		}
	}
	return best, found
}

func allowed(l layer, from, to string) bool {
	// The root of objstore knows none of its drivers, nor one driver another.
	tree := l.path != "objstore" && l.path != "objstore/"
	if tree && below(to, l.path) || from != "objstore" && below(to, from) {
		return true
	}
	for _, may := range l.may {
		tree, all := strings.CutSuffix(may, "...")
		if may == to || all && below(to, strings.TrimSuffix(tree, "/")) {
			return true
		}
	}
	return false
}

// below says whether a path is another one or lies below it.
func below(path, top string) bool {
	return top == "" || path == top || strings.HasPrefix(path, top+"/")
}

func TestImportsPointDown(t *testing.T) {
	for _, line := range goList(t, "-f", "{{.ImportPath}} {{join .Imports \" \"}}", module+"/...") {
		fields := strings.Fields(line)
		from := strings.TrimPrefix(fields[0], module+"/")
		l, ok := layerOf(from)
		if !ok {
			t.Errorf("%s belongs to no layer; give it one in this test", from)
			continue
		}
		for _, imported := range fields[1:] {
			if to, ours := strings.CutPrefix(imported, module+"/"); ours {
				if !allowed(l, from, to) {
					t.Errorf("%s imports %s", from, to)
				}
				continue
			}
			checkOwner(t, from, imported)
		}
	}
}

func checkOwner(t *testing.T, from, imported string) {
	t.Helper()
	if from == "objstore" && strings.Contains(strings.SplitN(imported, "/", 2)[0], ".") {
		t.Errorf("objstore imports %s, which is not in the standard library", imported)
	}
	if below(from, "integration") {
		return
	}
	for _, o := range owners {
		if strings.HasPrefix(imported+"/", o.module) && !below(from, o.path) {
			t.Errorf("%s imports %s, which is for %s alone", from, imported, o.path)
		}
	}
}

// An SDK must not come in through the back door either.
func TestNoSDKUnderTheSeam(t *testing.T) {
	sdks := []string{"github.com/aws/", "cloud.google.com/", "google.golang.org/", "github.com/Azure/"}
	for _, part := range []string{"fs/...", "cache/...", "objstore", "mountopts"} {
		for _, dep := range goList(t, "-deps", module+"/"+part) {
			for _, sdk := range sdks {
				if strings.HasPrefix(dep, sdk) {
					t.Errorf("%s depends on %s", part, dep)
				}
			}
		}
	}
}

// The rules themselves: what must be refused is refused.
func TestRules(t *testing.T) {
	tests := []struct {
		from, to string
		want     bool
	}{
		{"cmd/pailfs", "fs", true},
		{"cmd/pailfs", "objstore/open", true},
		{"cmd/pailfs", "cmd/pailfs/internal/mounts", true},
		{"cmd/pailfs", "objstore/s3store", false},
		{"cmd/pailfs", "fs/draft", false},
		{"fs", "fs/draft", true},
		{"fs/draft", "fs/staging", true},
		{"fs", "objstore", true},
		{"fs", "objstore/memstore", false},
		{"fs/draft", "cmd/pailfs", false},
		{"cache/disk", "cache", true},
		{"cache", "fs", false},
		{"objstore", "objstore/memstore", false},
		{"objstore/s3store", "objstore", true},
		{"objstore/s3store", "objstore/dirstore", false},
		{"objstore/open", "objstore/s3store", true},
		{"objstore/open", "fs", false},
		{"mountopts", "objstore", false},
	}
	for _, tt := range tests {
		l, ok := layerOf(tt.from)
		if got := ok && allowed(l, tt.from, tt.to); got != tt.want {
			t.Errorf("%s -> %s: %v, want %v", tt.from, tt.to, got, tt.want)
		}
	}
}
