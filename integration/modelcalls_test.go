package integration

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const modelEnv = "PAILFS_TEST_MODEL"

// modelCall is one call, made in both of two directories.
type modelCall struct {
	Name     string
	Path, To string
	Slot, At int // of descriptors
	Flags    int
	Off, Len int64
	Seed     uint64
}

// String leaves out what the call does not use.
func (c modelCall) String() string {
	text := fmt.Sprintf("%s %s slot %d", c.Name, c.Path, c.Slot)
	switch c.Name {
	case "open", "chmod", "fchmod", "mkdir", "setxattr":
		text += fmt.Sprintf(" %#o", c.Flags)
	case "rename", "symlink":
		text += " to " + c.To
	case "dup", "copy":
		text += fmt.Sprintf(" with slot %d", c.At)
	}
	return text + fmt.Sprintf(" off %d len %d", c.Off, c.Len)
}

// modelAnswer is what came of a call: what each directory answered, and, after a
// commit, which file it was of.
type modelAnswer struct {
	Tried, Local string
	Committed    string // path below the directory; "" for none
}

// modelChild is a process that makes calls, if this one was started for that, and
// does not return then. Its environment names the two directories.
func modelChild() {
	dirs := os.Getenv(modelEnv)
	if dirs == "" {
		return
	}
	syscall.Umask(0o022)
	roots := strings.Split(dirs, ":")
	sides := []*modelSide{{root: roots[0], fds: map[int]int{}}, {root: roots[1], fds: map[int]int{}}}
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var c modelCall
		if in.Decode(&c) != nil {
			os.Exit(0)
		}
		a := modelAnswer{Tried: sides[0].do(c), Local: sides[1].do(c)}
		if c.Name == "fsync" && a.Local == "ok" {
			a.Committed = sides[1].linked(c.Slot)
		}
		if out.Encode(a) != nil {
			os.Exit(0)
		}
	}
}

// modelSide is one of the two directories, with the descriptors open in it.
type modelSide struct {
	root string
	fds  map[int]int
}

// linked is the path of an open file below the root, if it still has one.
func (s *modelSide) linked(slot int) string {
	path, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", s.fds[slot]))
	rel, ok := strings.CutPrefix(path, s.root+"/")
	if err != nil || !ok || strings.HasSuffix(path, " (deleted)") {
		return ""
	}
	return rel
}

// do makes a call and says what came of it, in words that do not depend on the
// directory.
func (s *modelSide) do(c modelCall) string {
	path, to := filepath.Join(s.root, c.Path), filepath.Join(s.root, c.To)
	fd, open := s.fds[c.Slot]
	if !open {
		fd = -1
	}
	said, err := "", error(nil)
	switch c.Name {
	case "open":
		if open {
			return "in use"
		}
		if fd, err = unix.Open(path, c.Flags|unix.O_CLOEXEC, 0o640); err == nil {
			s.fds[c.Slot] = fd
		}
	case "close":
		delete(s.fds, c.Slot)
		err = unix.Close(fd)
	case "dup":
		if _, used := s.fds[c.At]; used || !open {
			return "in use"
		}
		if fd, err = unix.Dup(fd); err == nil {
			s.fds[c.At] = fd
		}
	case "write":
		_, err = unix.Write(fd, noise(c.Seed, int(c.Len)))
	case "pwrite":
		_, err = unix.Pwrite(fd, noise(c.Seed, int(c.Len)), c.Off)
	case "pread":
		b := make([]byte, c.Len)
		var n int
		if n, err = unix.Pread(fd, b, c.Off); err == nil {
			said = fmt.Sprintf("%d bytes %.4x", n, sha256.Sum256(b[:n]))
		}
	case "mmap":
		err = mmapWrite(fd, noise(c.Seed, int(c.Len)))
	case "seek":
		var off int64
		off, err = unix.Seek(fd, c.Off, c.Flags)
		said = fmt.Sprint(off)
	case "ftruncate":
		err = unix.Ftruncate(fd, c.Off)
	case "truncate":
		err = unix.Truncate(path, c.Off)
	case "fsync":
		err = unix.Fsync(fd)
	case "copy":
		at, used := s.fds[c.At]
		if !used || !open || fd == at {
			return "in use"
		}
		from, into := int64(0), c.Off
		var n int
		n, err = unix.CopyFileRange(at, &from, fd, &into, int(c.Len), 0)
		said = fmt.Sprint(n)
	case "fchmod":
		err = unix.Fchmod(fd, uint32(c.Flags))
	case "chmod":
		err = unix.Chmod(path, uint32(c.Flags))
	case "utimes":
		err = unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{{Sec: c.Off}, {Sec: c.Off, Nsec: 5000}}, unix.AT_SYMLINK_NOFOLLOW)
	case "rename":
		err = unix.Renameat2(unix.AT_FDCWD, path, unix.AT_FDCWD, to, uint(c.Flags))
	case "unlink":
		err = unix.Unlink(path)
	case "mkdir":
		err = unix.Mkdir(path, uint32(c.Flags))
	case "rmdir":
		err = unix.Rmdir(path)
	case "symlink":
		err = unix.Symlink(c.To, path)
	case "setxattr":
		err = unix.Setxattr(path, "user.test", noise(c.Seed, 20), c.Flags)
	case "getxattr":
		b := make([]byte, 100)
		var n int
		if n, err = unix.Getxattr(path, "user.test", b); err == nil {
			said = fmt.Sprintf("%x", b[:n])
		}
	case "fstat", "stat":
		var st unix.Stat_t
		if c.Name == "stat" {
			err = unix.Lstat(path, &st)
		} else {
			err = unix.Fstat(fd, &st)
		}
		said = statText(&st)
	case "list":
		said, err = listText(path)
	case "end":
		for slot, fd := range s.fds {
			if e := unix.Close(fd); e != nil {
				err = e
			}
			delete(s.fds, slot)
		}
	}
	if err != nil {
		if errno, ok := err.(syscall.Errno); ok {
			return unix.ErrnoName(errno)
		}
		return err.Error()
	}
	return strings.TrimSpace("ok " + said)
}

func mmapWrite(fd int, b []byte) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	n := min(int(st.Size), len(b))
	if n == 0 {
		return nil
	}
	m, err := unix.Mmap(fd, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	copy(m, b)
	if err := unix.Msync(m, unix.MS_SYNC); err != nil {
		return err
	}
	return unix.Munmap(m)
}

// statText leaves out what differs by right: of directories size and links, and
// times that nobody set.
func statText(st *unix.Stat_t) string {
	text := fmt.Sprintf("%o", st.Mode)
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		text += fmt.Sprintf(" size %d links %d", st.Size, st.Nlink)
	}
	if st.Mtim.Nsec == 5000 {
		text += fmt.Sprintf(" mtime %d", st.Mtim.Sec)
	}
	return text
}

// listText is everything below a directory.
func listText(root string) (string, error) {
	var all []string
	entries, err := os.ReadDir(root)
	if err != nil {
		if e, ok := err.(*os.PathError); ok {
			err = e.Err
		}
		return "", err
	}
	for _, e := range entries {
		path := filepath.Join(root, e.Name())
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return "", err
		}
		line := e.Name() + " " + statText(&st)
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			f, err := os.Open(path)
			if err != nil {
				return "", err
			}
			c, err := contentFrom(f)
			f.Close()
			if err != nil {
				return "", err
			}
			line += " " + string(c)
		case unix.S_IFLNK:
			target, err := os.Readlink(path)
			if err != nil {
				return "", err
			}
			line += " " + target
		case unix.S_IFDIR:
			below, err := listText(path)
			if err != nil {
				return "", err
			}
			line += " (" + below + ")"
		}
		all = append(all, line)
	}
	sort.Strings(all)
	return strings.Join(all, "\n"), nil
}
