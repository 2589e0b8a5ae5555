package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// How long a process that was told to end may take, before it is killed, and
// after that.
const (
	endLimit  = 60 * time.Second
	killLimit = 10 * time.Second
)

// process is a program that we started, in a process group of its own.
type process struct {
	cmd    *exec.Cmd
	stdout bytes.Buffer
	stderr tail
	ended  chan struct{} // closed when it has ended; err is set then
	err    error
}

func start(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.stdout, &p.stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// A grandchild that holds our pipe must not hold up Wait.
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// signal signals the process and its children, unless it has ended: its number
// may be somebody else's by then.
func (p *process) signal(s syscall.Signal) {
	select {
	case <-p.ended:
	default:
		_ = syscall.Kill(-p.pid(), s)
	}
}

// wait waits for the end and returns how it ended, with what it said. It is
// false when the process still runs at the end of ctx.
func (p *process) wait(ctx context.Context) (ended bool, err error) {
	select {
	case <-p.ended:
		return true, p.failure()
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

func (p *process) failure() error {
	if p.err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w%s", p.cmd.Args[0], p.err, p.stderr.last())
}

// runProgram starts a command and waits for it. At the end of ctx it kills the command,
// and calls release, which must make it possible for it to end if it is stuck
// inside the kernel.
func runProgram(ctx context.Context, cmd *exec.Cmd, release func()) (*process, error) {
	p, err := start(cmd)
	if err != nil {
		return nil, err
	}
	ended, err := p.wait(ctx)
	if ended {
		return p, err
	}
	p.signal(syscall.SIGKILL)
	if release != nil {
		release()
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), killLimit)
	defer cancel()
	if ended, _ := p.wait(last); !ended {
		return nil, fmt.Errorf("%s (pid %d) does not end: %w", cmd.Args[0], p.pid(), err)
	}
	return p, fmt.Errorf("%s killed: %w", cmd.Args[0], err)
}

// tail keeps the end of what a program says.
type tail struct {
	mu sync.Mutex
	b  []byte
}

func (t *tail) Write(p []byte) (int, error) {
	const most = 8 << 10
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if len(t.b) > 2*most {
		t.b = append(t.b[:0], t.b[len(t.b)-most:]...)
	}
	return len(p), nil
}

func (t *tail) text() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return bytes.Clone(t.b)
}

// last is the last line said, ready to be put behind an error.
func (t *tail) last() string {
	lines := strings.Split(strings.TrimSpace(string(t.text())), "\n")
	if s := lines[len(lines)-1]; s != "" {
		return ": " + s
	}
	return ""
}

// mounted is a contender that serves a mount point.
type mounted struct {
	b       *bench
	c       contender
	dir     string
	scratch string
	server  *process
}

// mountOn mounts a bucket at a new mount point and returns when it answers.
func (b *bench) mountOn(ctx context.Context, c contender, a access, bucket string) (*mounted, error) {
	top, err := os.MkdirTemp(b.top, c.name+"-")
	if err != nil {
		return nil, err
	}
	m := &mounted{b: b, c: c, dir: top + "/mnt", scratch: top + "/own"}
	for _, dir := range []string{m.dir, m.scratch} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return nil, err
		}
	}
	m.server, err = start(c.mount(b, a, bucket, m.dir, m.scratch))
	if err == nil {
		err = m.waitReady(ctx)
	}
	if err != nil {
		m.clear()
		return nil, fmt.Errorf("mount: %w", err)
	}
	return m, nil
}

// waitReady returns when the mount point is in the kernel's table and its root
// can be read.
func (m *mounted) waitReady(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !isMounted(m.dir) {
		select {
		case <-tick.C:
		case <-m.server.ended:
			return fmt.Errorf("ended with %v%s", m.server.err, m.server.stderr.last())
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	_, err := runProgram(ctx, exec.Command("stat", m.dir), m.kill)
	return err
}

// close unmounts and waits until the server has ended: what it had to save is
// saved then, or the error says that it is not.
func (m *mounted) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endLimit)
	defer cancel()
	defer m.clear()
	if _, err := runProgram(ctx, m.c.umount(m.b, m.dir, m.scratch), m.kill); err != nil {
		return fmt.Errorf("umount: %w", err)
	}
	ended, err := m.server.wait(ctx)
	if !ended {
		return fmt.Errorf("%s still runs %v after it was unmounted", m.c.name, endLimit)
	}
	return err
}

// kill ends the server at once. Calls that wait for it return with an error
// then, as the kernel aborts the connection.
func (m *mounted) kill() {
	if m.server != nil {
		m.server.signal(syscall.SIGKILL)
	}
}

// clear leaves nothing mounted, running or on disk, whatever state the mount is
// in.
func (m *mounted) clear() {
	m.kill()
	if m.server != nil {
		ctx, cancel := context.WithTimeout(context.Background(), killLimit)
		_, _ = m.server.wait(ctx)
		cancel()
	}
	if isMounted(m.dir) {
		if err := syscall.Unmount(m.dir, syscall.MNT_DETACH); err != nil { // not root
			_ = exec.Command("fusermount3", "-u", "-z", m.dir).Run()
		}
	}
	if isMounted(m.dir) {
		m.b.logf("%s is still mounted", m.dir)
		return // removing it would remove objects
	}
	os.RemoveAll(m.scratch)
	os.Remove(m.dir)
}

// isMounted looks into the kernel's table, without touching the mount point.
func isMounted(dir string) bool {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(table)) {
		if fields := strings.Fields(line); len(fields) > 4 && fields[4] == dir {
			return true
		}
	}
	return false
}
