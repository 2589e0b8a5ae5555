package integration

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// account is who a database server runs as: it refuses to be root.
func account(t testing.TB, name string) (uid, gid int) {
	t.Helper()
	if os.Geteuid() != 0 {
		return os.Geteuid(), os.Getegid()
	}
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	uid, _ = strconv.Atoi(u.Uid)
	gid, _ = strconv.Atoi(u.Gid)
	return uid, gid
}

// database is a database server of this run.
type database struct {
	dir      string // owned by the account
	uid, gid int
}

func newDatabase(t testing.TB, user string) (*database, error) {
	d := &database{}
	d.uid, d.gid = account(t, user)
	var err error
	if d.dir, err = os.MkdirTemp(runDir, user); err != nil {
		return nil, err
	}
	if err := os.Chmod(d.dir, 0o755); err != nil {
		return nil, err
	}
	return d, os.Chown(d.dir, d.uid, d.gid)
}

// command runs a program as the account, in the directory of the server.
func (d *database) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := command(ctx, name, args...)
	cmd.Dir = d.dir
	cmd.Env = []string{"HOME=" + d.dir, "LC_ALL=C.UTF-8", "TZ=UTC", "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(d.uid), Gid: uint32(d.gid)}
	}
	return cmd
}

// do runs a program as the account and waits for it.
func (d *database) do(name string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
	defer cancel()
	if out, err := d.command(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(name), err, tail(string(out), 30))
	}
	return nil
}

// serve starts the server and waits until ready succeeds. The server is asked
// to stop at the end of the run, and dies with this process in any case.
func (d *database) serve(ready func() error, name string, args ...string) error {
	ctx, stop := context.WithCancel(context.Background())
	cmd := d.command(ctx, name, args...)
	cmd.SysProcAttr.Pdeathsig = syscall.SIGQUIT
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	log, err := os.Create(filepath.Join(d.dir, "log"))
	if err != nil {
		stop()
		return err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	started, ended := make(chan error), make(chan struct{})
	go func() {
		// The death signal follows the thread that forked: it stays with us.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
		close(ended)
	}()
	if err := <-started; err != nil {
		stop()
		return err
	}
	onExit(func() { stop(); <-ended })
	for limit := time.After(commandLimit); ; {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-ended:
		case <-limit:
		case <-time.After(50 * time.Millisecond):
			continue
		}
		text, _ := os.ReadFile(log.Name())
		return fmt.Errorf("%s does not answer: %w\n%s", filepath.Base(name), err, tail(string(text), 30))
	}
}
