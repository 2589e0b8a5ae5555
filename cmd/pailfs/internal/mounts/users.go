package mounts

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// User is a process that keeps a file system busy.
type User struct {
	PID  int
	Name string
	How  string // "has PATH open", "is in PATH"
}

func (u User) String() string { return fmt.Sprintf("pid %d (%s) %s", u.PID, u.Name, u.How) }

// patience is the longest wait for what /proc says of all processes.
const patience = 2 * time.Second

// Users finds what keeps the file system at a path busy, one entry for each
// process that may be looked at. It reads links in /proc and so never calls
// the file system in question; but the kernel lets nobody look at a process in
// the middle of an execve, which may itself be waiting for that file system.
// Processes that do not show themselves in time are left out.
func Users(path string) []User {
	procs, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	looks := make(chan User, len(procs))
	n := 0
	for _, p := range procs {
		pid, err := strconv.Atoi(p.Name())
		if err != nil {
			continue
		}
		n++
		go func() { looks <- look(pid, path) }()
	}
	var users []User
	for end := time.After(patience); n > 0; n-- {
		select {
		case u := <-looks:
			if u.How != "" {
				users = append(users, u)
			}
		case <-end:
			n = 1
		}
	}
	slices.SortFunc(users, func(a, b User) int { return a.PID - b.PID })
	return users
}

// look describes a process; How is empty for one that does not use the path.
func look(pid int, path string) User {
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	u := User{PID: pid, How: use(proc, path)}
	if u.How != "" {
		comm, _ := os.ReadFile(filepath.Join(proc, "comm"))
		u.Name = strings.TrimSpace(string(comm))
	}
	return u
}

func use(proc, path string) string {
	for _, link := range []string{"cwd", "root"} {
		if at, err := os.Readlink(filepath.Join(proc, link)); err == nil && below(at, path) {
			return "is in " + at
		}
	}
	if exe, err := os.Readlink(filepath.Join(proc, "exe")); err == nil && below(exe, path) {
		return "runs " + exe
	}
	fds, err := os.ReadDir(filepath.Join(proc, "fd"))
	if err != nil {
		return ""
	}
	for _, fd := range fds {
		if at, err := os.Readlink(filepath.Join(proc, "fd", fd.Name())); err == nil && below(at, path) {
			return "has " + at + " open"
		}
	}
	return ""
}

func below(at, path string) bool {
	return at == path || strings.HasPrefix(at, strings.TrimSuffix(path, "/")+"/")
}
