package archtest

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// banned are packages that must not get into the binary, by path.
var banned = []string{
	"github.com/envoyproxy/",
	"github.com/spiffe/",
	"github.com/apache/arrow",
	"github.com/aws/aws-sdk-go/", // the first SDK
	"github.com/aws/aws-sdk-go-v2/feature/s3/",
	"net/http/pprof",
	"testing",
}

// goList runs go list as the binary is built, whatever the environment of the
// test says about cgo.
func goList(t *testing.T, args ...string) []string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-tags", "disable_grpc_modules"}, args...)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOFLAGS=")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, stderr.String())
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

// deps.txt is reviewed text: what it names is what the binary is made of.
func TestDependencies(t *testing.T) {
	got := goList(t, "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", module+"/cmd/pailfs")
	got = slices.DeleteFunc(got, func(s string) bool { return s == "" })
	slices.Sort(got)
	text, err := os.ReadFile("../../deps.txt")
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Fields(string(text))
	for _, pkg := range got {
		if !slices.Contains(want, pkg) {
			t.Errorf("%s is new; if it is worth having, run `make deps` and say why in the commit", pkg)
		}
	}
	for _, pkg := range want {
		if !slices.Contains(got, pkg) {
			t.Errorf("%s is no longer used; run `make deps`", pkg)
		}
	}
}

func TestBannedDependencies(t *testing.T) {
	for _, pkg := range goList(t, "-deps", module+"/cmd/pailfs") {
		for _, b := range banned {
			if pkg == b || strings.HasPrefix(pkg, b) && strings.HasSuffix(b, "/") || strings.HasPrefix(pkg, b+"/") {
				t.Errorf("the binary contains %s", pkg)
			}
		}
	}
}
