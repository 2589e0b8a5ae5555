package archtest

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// systems are some of those that pailfs is built for; on the first it mounts.
var systems = []string{"linux/arm64", "linux/arm", "darwin/arm64", "freebsd/amd64"}

// listed is what go list says of a package.
type listed struct {
	ImportPath, Dir string
	GoFiles         []string
	ImportMap       map[string]string
	Module          *struct{ Path string }
}

// On each system the program has right types. Unlike a build, this takes seconds:
// `make cross` builds.
func TestTypesOnEachSystem(t *testing.T) {
	for _, system := range systems {
		t.Run(system, func(t *testing.T) {
			t.Parallel()
			checkTypes(t, system)
		})
	}
}

func checkTypes(t *testing.T, system string) {
	goos, goarch, _ := strings.Cut(system, "/")
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Dir,GoFiles,ImportMap,Module", "-tags", "disable_grpc_modules", module+"/cmd/pailfs")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOOS="+goos, "GOARCH="+goarch, "GOTOOLCHAIN=local")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v", cmd.Args, err)
	}
	done := map[string]*types.Package{"unsafe": types.Unsafe}
	mounts := false
	for in := json.NewDecoder(strings.NewReader(string(out))); ; { // each after what it imports
		var p listed
		if err := in.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if p.ImportPath == "unsafe" {
			continue
		}
		mounts = mounts || p.ImportPath == module+"/fs"
		done[p.ImportPath] = checkPackage(t, p, goarch, done)
	}
	if want := system == "linux/arm64"; mounts != want {
		t.Errorf("it mounts: %v, want %v", mounts, want)
	}
}

func checkPackage(t *testing.T, p listed, goarch string, done map[string]*types.Package) *types.Package {
	ours := p.Module != nil && p.Module.Path == module
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range p.GoFiles {
		f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	conf := types.Config{
		IgnoreFuncBodies: !ours, FakeImportC: true, Sizes: types.SizesFor("gc", goarch),
		Importer: importerFunc(func(path string) (*types.Package, error) {
			if to, ok := p.ImportMap[path]; ok {
				path = to
			}
			if pkg := done[path]; pkg != nil {
				return pkg, nil
			}
			return nil, errors.New("not listed: " + path)
		}),
		Error: func(err error) {
			if ours {
				t.Error(err)
			}
		},
	}
	pkg, _ := conf.Check(p.ImportPath, fset, files, nil)
	return pkg
}

type importerFunc func(path string) (*types.Package, error)

func (f importerFunc) Import(path string) (*types.Package, error) { return f(path) }
