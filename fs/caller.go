package fs

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// callerState is what /proc tells of the thread that made a system call. All of
// it is false where /proc tells nothing (another pid namespace, another user).
type callerState struct {
	exiting bool // the call is made by the kernel as the process ends
	failed  bool // it ends by a signal or with a non-zero exit code
	execing bool // execve is closing its close-on-exec descriptors
}

// Flags of /proc/PID/stat, field 9 (include/linux/sched.h).
const (
	pfExiting  = 0x00000004
	pfSignaled = 0x00000400
)

// sysExecve and sysExecveat are the numbers in /proc/PID/syscall; see
// caller_GOARCH.go.

func callerPid(ctx context.Context) uint32 {
	if c, ok := fuse.FromContext(ctx); ok {
		return c.Pid
	}
	return 0
}

// examine looks at the thread with this id, which must be waiting for an answer
// of ours.
func examine(pid uint32) callerState {
	var s callerState
	if pid == 0 {
		return s
	}
	if flags, code, ok := readStat(pid); ok && flags&pfExiting != 0 {
		return callerState{exiting: true, failed: flags&pfSignaled != 0 || code != 0}
	}
	call, err := os.ReadFile(fmt.Sprintf("/proc/%d/syscall", pid))
	if err != nil {
		return s
	}
	nr, _, _ := strings.Cut(string(bytes.TrimSpace(call)), " ")
	if n, err := strconv.Atoi(nr); err == nil {
		s.execing = n == sysExecve || n == sysExecveat
	}
	return s
}

// readStat gives the flags and the exit code, fields 9 and 52 of proc(5). The
// command name before them may hold anything.
func readStat(pid uint32) (flags, code uint64, ok bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, false
	}
	i := bytes.LastIndexByte(stat, ')')
	f := strings.Fields(string(stat[i+1:])) // f[0] is field 3
	if i < 0 || len(f) < 50 {
		return 0, 0, false
	}
	flags, err1 := strconv.ParseUint(f[9-3], 10, 64)
	code, err2 := strconv.ParseUint(f[52-3], 10, 64)
	return flags, code, err1 == nil && err2 == nil
}

// beingKilled reports whether a SIGKILL is pending for the thread: the kernel
// turns every fatal signal into one.
func beingKilled(pid uint32) bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return os.IsNotExist(err) // it is gone already
	}
	for line := range strings.Lines(string(status)) {
		name, val, _ := strings.Cut(line, ":")
		if name == "SigPnd" || name == "ShdPnd" {
			n, err := strconv.ParseUint(strings.TrimSpace(val), 16, 64)
			if err == nil && n&(1<<(9-1)) != 0 {
				return true
			}
		}
	}
	return false
}

// holdsAnother reports whether the process of the caller has the file with
// inode number ino open by another descriptor (fdinfo has "ino:" since Linux
// 5.14). It never touches the mount itself.
func holdsAnother(pid uint32, ino uint64) bool {
	dir := fmt.Sprintf("/proc/%d/fdinfo", pid)
	ents, err := os.ReadDir(dir)
	if pid == 0 || err != nil {
		return false
	}
	want := "ino:\t" + strconv.FormatUint(ino, 10) + "\n"
	for _, e := range ents {
		text, err := os.ReadFile(dir + "/" + e.Name())
		if err == nil && strings.Contains(string(text), want) {
			return true
		}
	}
	return false
}

// killable gives a context for the calls on the store that one request needs.
// The kernel interrupts a request for any signal; programs do not expect EINTR
// from files, so the context ends only when the caller is being killed.
func killable(ctx context.Context) (context.Context, context.CancelFunc) {
	fc, ok := ctx.(*fuse.Context)
	if !ok || fc.Cancel == nil {
		return context.WithCancel(ctx)
	}
	out, cancel := context.WithCancel(context.Background())
	go func() {
		select {
		case <-out.Done():
			return
		case <-fc.Cancel:
		}
		// One interrupt is all that a request ever gets, whatever comes later.
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for !beingKilled(fc.Pid) {
			select {
			case <-out.Done():
				return
			case <-tick.C:
			}
		}
		cancel()
	}()
	return out, cancel
}
