package fs

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// A program that starts others while it writes: execve closes their copies of
// its descriptor, which must neither commit nor hang.
func TestExecveClosesDescriptors(t *testing.T) {
	m := mountStore(t, Options{})
	m.sh(`python3 -c '
import os, subprocess
f = os.open("f", os.O_WRONLY | os.O_CREAT)
os.write(f, b"half")
for i in range(20):
    subprocess.run(["/bin/true"], close_fds=False)
os.kill(os.getpid(), 9)' || true`)
	if got, ok := m.object("f"); ok && got != "half" {
		t.Errorf("f = %q", got)
	}
	m.sh(`python3 -c '
import os, subprocess
f = os.open("g", os.O_WRONLY | os.O_CREAT)
os.write(f, b"half")
subprocess.run(["/bin/true"], close_fds=False)
open("` + m.fifo() + `").read()
os.write(f, b"whole")' & sleep 0.3; echo go > ` + m.pipe + `; wait`)
	m.wantObject("g", "halfwhole")
	if n := strings.Count(m.log.String(), "msg=committed key=g"); n != 1 {
		t.Errorf("g was committed %d times", n)
	}
}

// started runs a shell that waits, and returns when its execve is over.
func started(t *testing.T, shell string) *exec.Cmd {
	t.Helper()
	c := exec.Command(shell, "-c", "echo; read")
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); c.Wait() })
	bufio.NewScanner(out).Scan()
	return c
}

func TestExamineALivingProcess(t *testing.T) {
	c := started(t, "bash")
	if s := examine(uint32(c.Process.Pid)); s != (callerState{}) {
		t.Errorf("a sleeping process is %+v", s)
	}
	if s := examine(0); s != (callerState{}) {
		t.Errorf("no process is %+v", s)
	}
}

// A thread of a program that another one started closes the file, which that one
// has open too: the kernel marks threads as forked, but they are no fork.
func TestCloseInAThread(t *testing.T) {
	m := mountStore(t, Options{})
	fifo := m.fifo()
	ended := make(chan error, 1)
	go func() {
		out, err := m.try(`python3 -c '
import os, subprocess, sys
f = os.open("f", os.O_RDWR | os.O_CREAT)
subprocess.run([sys.executable, "-c", """
import threading
def write():
    with open("f", "wb") as g: g.write(b"whole")
t = threading.Thread(target=write); t.start(); t.join()
"""], check=True)
open("` + fifo + `").read()'`)
		if err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
		ended <- err
	}()
	proceed, err := os.OpenFile(m.pipe, os.O_WRONLY, 0) // when the writer is done
	if err != nil {
		t.Fatal(err)
	}
	m.wantObject("f", "whole")
	proceed.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestReadStatOfAnOddName(t *testing.T) {
	// A command name may hold spaces and brackets.
	exe := t.TempDir() + "/a) b ("
	if err := os.Symlink("/bin/bash", exe); err != nil {
		t.Fatal(err)
	}
	c := started(t, exe)
	if flags, _, ok := readStat(uint32(c.Process.Pid)); !ok || flags == 0 {
		t.Errorf("readStat = %#x, %v", flags, ok)
	}
	want := procStatus{memory: true, code: true, parent: strconv.Itoa(os.Getpid()), process: uint32(c.Process.Pid)}
	if s, ok := readStatus(uint32(c.Process.Pid)); !ok || s != want {
		t.Errorf("readStatus = %+v, %v", s, ok)
	}
}

func TestHeldElsewhere(t *testing.T) {
	name := t.TempDir() + "/f"
	if err := os.WriteFile(name, nil, 0600); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	ino := st.Sys().(*syscall.Stat_t).Ino
	c := exec.Command("bash", "-c", "exec 5>"+name+"; echo open; read; exec 5>&-; echo closed; read")
	in, _ := c.StdinPipe()
	out, _ := c.StdoutPipe()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { in.Close(); c.Wait() }()
	lines := bufio.NewScanner(out)
	lines.Scan()
	if !heldElsewhere(uint32(c.Process.Pid), ino) {
		t.Error("an open file is not seen")
	}
	in.Write([]byte("\n"))
	lines.Scan()
	if heldElsewhere(uint32(c.Process.Pid), ino) {
		t.Error("a closed file is seen")
	}
}
