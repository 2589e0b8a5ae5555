package servers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// A process is a running server. Its output goes to a file.
type process struct {
	cmd    *exec.Cmd
	output string
	ended  chan struct{} // closed when the process has ended, err is set then
	err    error
}

// startProcess runs cmd with its output in the file output.
func startProcess(cmd *exec.Cmd, output string) (*process, error) {
	out, err := os.Create(output)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	p := &process{cmd: cmd, output: output, ended: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		// The kernel sends the signal when the thread that forked ends, so that
		// thread waits here for as long as the server lives.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		started <- nil
		p.err = cmd.Wait()
		close(p.ended)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// waitReady returns when a GET of url answers 200, or with an error when the
// process has ended or ctx is done.
func (p *process) waitReady(ctx context.Context, url string) error {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		if resp, err := client.Do(req); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-p.ended:
			return fmt.Errorf("%s ended: %v\n%s", p.cmd.Path, p.err, p.tail())
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w\n%s", p.cmd.Path, ctx.Err(), p.tail())
		case <-time.After(pause):
		}
	}
}

// waitOutput returns when the process has written text, or with an error when it
// has ended or ctx is done.
func (p *process) waitOutput(ctx context.Context, text string) error {
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		if out, err := os.ReadFile(p.output); err == nil && strings.Contains(string(out), text) {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("%s ended: %v\n%s", p.cmd.Path, p.err, p.tail())
		case <-ctx.Done():
			return fmt.Errorf("%s does not start: %w\n%s", p.cmd.Path, ctx.Err(), p.tail())
		case <-time.After(pause):
		}
	}
}

// stop asks the process to end and kills it if it does not.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
		return
	case <-time.After(5 * time.Second):
	}
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return
	}
	<-p.ended
}

// tail is the end of the server's output.
func (p *process) tail() []byte {
	out, err := os.ReadFile(p.output)
	if err != nil {
		return []byte(err.Error())
	}
	return out[max(0, len(out)-8<<10):]
}

// FreePort is freePort for servers that a test starts as its users do.
func FreePort() (string, error) { return freePort() }

// freePort returns an address that nobody listened on a moment ago. Another
// process may take it first: callers try again, and make sure that it is their
// own server that answers there.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
