package integration

import (
	"io"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

const guardEnv = "PAILFS_TEST_GUARD"

// guardPipe is never written to: it ends when this process does.
var guardPipe io.WriteCloser

// startGuard starts a process that outlives this one, however that ends, and
// takes away its mounts, servers of mounts and files.
func startGuard() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), guardEnv+"="+runDir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if guardPipe, err = cmd.StdinPipe(); err != nil {
		return err
	}
	return cmd.Start()
}

// guardChild is the guard, if this process was started as one, and does not
// return then.
func guardChild() {
	dir := os.Getenv(guardEnv)
	if dir == "" {
		return
	}
	io.Copy(io.Discard, os.Stdin)
	sweep(dir)
	os.RemoveAll(dir)
	os.Exit(0)
}

// sweep kills the servers of all mounts below a directory, takes the mounts
// away and says which there were.
func sweep(dir string) []string {
	left := mountsBelow(dir)
	for _, at := range left {
		for _, pid := range processesNaming(at) {
			unix.Kill(pid, unix.SIGKILL)
		}
		unix.Unmount(at, unix.MNT_DETACH)
	}
	return left
}
