package mounts

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// User is a process that keeps a file system busy.
type User struct {
	PID  int
	Name string
	How  string // "has PATH open", "is in PATH"
}

func (u User) String() string { return fmt.Sprintf("pid %d (%s) %s", u.PID, u.Name, u.How) }

// Users finds what keeps the file system at a path busy, one entry for each
// process that may be looked at. It reads links in /proc and so never calls
// the file system in question.
func Users(path string) []User {
	var users []User
	procs, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, p := range procs {
		pid, err := strconv.Atoi(p.Name())
		if err != nil {
			continue
		}
		if how := use(filepath.Join("/proc", p.Name()), path); how != "" {
			comm, _ := os.ReadFile(filepath.Join("/proc", p.Name(), "comm"))
			users = append(users, User{PID: pid, Name: strings.TrimSpace(string(comm)), How: how})
		}
	}
	return users
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
