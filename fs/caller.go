package fs

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// callerState is what /proc tells of the thread that made a system call. All of
// it is false where /proc tells nothing (another pid namespace, another user).
type callerState struct {
	exiting bool // the call is made by the kernel as the process ends
	failed  bool // it ends by a signal or with a non-zero exit code
	execing bool // execve is closing its close-on-exec descriptors
	forked  bool // it was forked and has not called execve since
}

// Flags of /proc/PID/stat, field 9 (include/linux/sched.h).
const (
	pfExiting    = 0x00000004
	pfForkNoExec = 0x00000040
	pfSignaled   = 0x00000400
)

func callerPid(ctx context.Context) uint32 {
	if c, ok := fuse.FromContext(ctx); ok {
		return c.Pid
	}
	return 0
}

// examine looks at the thread with this id, which must be waiting for an answer
// of ours. It reads status first, which the kernel lets be read at any time.
// While execve closes descriptors it holds the lock (exec_update_lock) that
// reading stat, syscall and most other files of the process waits for: execve
// would wait for our answer, we for execve.
func examine(pid uint32) callerState {
	st, ok := readStatus(pid)
	switch {
	case pid == 0 || !ok:
		return callerState{}
	case !st.memory: // a thread that ends gives up its memory before its descriptors
		if flags, code, ok := readStat(pid); ok && flags&pfExiting != 0 {
			return callerState{exiting: true, failed: flags&pfSignaled != 0 || code != 0}
		}
	case !st.code: // execve has made the new memory, and not yet loaded the program
		return callerState{execing: true}
	}
	// Of the process: the kernel sets the flag for each new thread too.
	flags, _, ok := readStat(st.process)
	return callerState{forked: ok && flags&pfForkNoExec != 0}
}

// procStatus is what is needed of proc(5)'s /proc/PID/status.
type procStatus struct {
	memory, code bool // VmSize is there; VmExe is not 0
	parent       string
	process      uint32 // that the thread is of
	killed       bool   // a SIGKILL is pending
}

func readStatus(pid uint32) (s procStatus, ok bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return s, false
	}
	for line := range strings.Lines(string(text)) {
		name, val, _ := strings.Cut(line, ":")
		val = strings.TrimSpace(val)
		switch name {
		case "PPid":
			s.parent = val
		case "Tgid":
			n, _ := strconv.ParseUint(val, 10, 32)
			s.process = uint32(n)
		case "VmSize":
			s.memory = true
		case "VmExe":
			s.code = val != "0 kB"
		case "SigPnd", "ShdPnd":
			n, err := strconv.ParseUint(val, 16, 64)
			s.killed = s.killed || err == nil && n&(1<<(9-1)) != 0
		}
	}
	return s, true
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

// beingKilled reports whether the thread is to end: the kernel turns every fatal
// signal into a SIGKILL. One that is gone was killed too.
func beingKilled(pid uint32) bool {
	s, ok := readStatus(pid)
	return !ok || s.killed
}

// heldElsewhere reports whether the file with inode number ino is open by another
// descriptor of the caller's process, of its parent or of a child: those between
// whom a redirection is handed on. It never touches the mount itself.
func heldElsewhere(pid uint32, ino uint64) bool {
	if pid == 0 {
		return false
	}
	family := []string{fmt.Sprint(pid)}
	if s, ok := readStatus(pid); ok {
		family = append(family, s.parent)
	}
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, name := range lists {
		children, err := os.ReadFile(name)
		if err == nil {
			family = append(family, strings.Fields(string(children))...)
		}
	}
	return slices.ContainsFunc(family, func(p string) bool { return holds(p, ino) })
}

// heldByParent is heldElsewhere for the parent alone.
func heldByParent(pid uint32, ino uint64) bool {
	s, ok := readStatus(pid)
	return ok && holds(s.parent, ino)
}

// holds reports whether a process has the file open for writing. It looks into
// fdinfo, which has "ino:" since Linux 5.14.
func holds(pid string, ino uint64) bool {
	dir := "/proc/" + pid + "/fdinfo"
	ents, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	want := "ino:\t" + strconv.FormatUint(ino, 10) + "\n"
	for _, e := range ents {
		text, err := os.ReadFile(dir + "/" + e.Name())
		if err == nil && strings.Contains(string(text), want) && writable(string(text)) {
			return true
		}
	}
	return false
}

// writable reads the access mode in "flags:", an octal number.
func writable(fdinfo string) bool {
	_, rest, _ := strings.Cut(fdinfo, "flags:\t")
	line, _, _ := strings.Cut(rest, "\n")
	flags, err := strconv.ParseUint(line, 8, 64)
	return err == nil && flags&syscall.O_ACCMODE != syscall.O_RDONLY
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
