package fs

import (
	"bufio"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

func TestExamineALivingProcess(t *testing.T) {
	c := exec.Command("sleep", "60")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { c.Process.Kill(); c.Wait() }()
	if s := examine(uint32(c.Process.Pid)); s != (callerState{}) {
		t.Errorf("a sleeping process is %+v", s)
	}
	if s := examine(0); s != (callerState{}) {
		t.Errorf("no process is %+v", s)
	}
}

func TestReadStatOfAnOddName(t *testing.T) {
	// A command name may hold spaces and brackets.
	exe := t.TempDir() + "/a) b ("
	if err := os.Symlink("/bin/sleep", exe); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(exe, "60")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { c.Process.Kill(); c.Wait() }()
	if flags, _, ok := readStat(uint32(c.Process.Pid)); !ok || flags == 0 {
		t.Errorf("readStat = %#x, %v", flags, ok)
	}
}

func TestHoldsAnother(t *testing.T) {
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
	if !holdsAnother(uint32(c.Process.Pid), ino) {
		t.Error("an open file is not seen")
	}
	in.Write([]byte("\n"))
	lines.Scan()
	if holdsAnother(uint32(c.Process.Pid), ino) {
		t.Error("a closed file is seen")
	}
}
