package servers

import (
	"os"
	"os/exec"
	"testing"
)

// MustHave returns the path of a program that a test needs. Where it is missing
// the test is skipped, except under CI, where that is a failure.
func MustHave(t testing.TB, program string) string {
	t.Helper()
	file, err := exec.LookPath(program)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("CI is set and a program is missing: %v", err)
		}
		t.Skipf("install it to run this test: %v", err)
	}
	return file
}
