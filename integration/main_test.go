package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/pailfs/pailfs/integration/servers"
	"golang.org/x/sys/unix"
)

// runDir holds everything of one run: the binary, mount points, databases.
var runDir string

// atExit collects what stops the servers of this run.
var atExit struct {
	sync.Mutex
	stop []func()
}

func onExit(stop func()) {
	atExit.Lock()
	defer atExit.Unlock()
	atExit.stop = append(atExit.stop, stop)
}

func TestMain(m *testing.M) {
	posixChild()
	crashChild()
	modelChild()
	guardChild()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	// Short, for the sockets below it; readable, for servers of other users.
	if runDir, err = os.MkdirTemp("", "pailfs"); err == nil {
		err = os.Chmod(runDir, 0o755)
	}
	if err == nil {
		err = startGuard()
	}
	// A daemon whose parent has exited becomes our child, so that its exit
	// code can be read and no zombie stays.
	if err == nil {
		err = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "integration:", err)
		return 1
	}
	code := servers.Main(m)
	for i := len(atExit.stop) - 1; i >= 0; i-- {
		atExit.stop[i]()
	}
	if left := sweep(runDir); len(left) > 0 {
		fmt.Fprintln(os.Stderr, "integration: mounts left:", left)
		code = 1
	}
	if err := os.RemoveAll(runDir); err != nil {
		fmt.Fprintln(os.Stderr, "integration:", err)
	}
	return code
}

// binary is the pailfs under test.
var binary = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("PAILFS_BINARY"); path != "" {
		return filepath.Abs(path)
	}
	path := filepath.Join(runDir, "pailfs")
	build := exec.Command("go", "build", "-tags", "disable_grpc_modules", "-o", path, "./cmd/pailfs")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build pailfs: %w\n%s", err, out)
	}
	return path, nil
})

// need skips the test where a program is missing; in CI that is a failure.
func need(t testing.TB, programs ...string) {
	t.Helper()
	for _, name := range programs {
		servers.MustHave(t, name)
	}
}

// await waits for what happens in the background.
func await(t testing.TB, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(commandLimit); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// tempDir makes a directory of this test, removed after it.
func tempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp(runDir, "")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if left := mountsBelow(dir); len(left) > 0 {
			t.Errorf("still mounted: %v", left) // removing it would empty the bucket
			return
		}
		os.RemoveAll(dir)
	})
	return dir
}
