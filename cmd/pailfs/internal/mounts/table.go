// Package mounts looks at the mount table and at mount points.
package mounts

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Type is the file system type of our mounts.
const Type = "fuse.pailfs"

// Mount is one line of the mount table.
type Mount struct {
	ID     int // unique while the mount lasts
	Point  string
	Type   string
	Source string
	Owner  int    // user who mounted a FUSE file system; else 0
	Flags  string // of this mount, as "rw,nosuid,nodev"
}

// At returns the topmost mount at a path, without touching the file system
// that is mounted there.
func At(path string) (Mount, bool, error) {
	all, err := table()
	if err != nil {
		return Mount{}, false, err
	}
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].Point == path {
			return all[i], true, nil
		}
	}
	return Mount{}, false, nil
}

// Ours returns the mounts of pailfs, each that can be seen at its path.
func Ours() ([]Mount, error) {
	all, err := table()
	if err != nil {
		return nil, err
	}
	top := map[string]int{}
	for i, m := range all {
		top[m.Point] = i
	}
	var ours []Mount
	for i, m := range all {
		if m.Type == Type && top[m.Point] == i {
			ours = append(ours, m)
		}
	}
	return ours, nil
}

func table() ([]Mount, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return parse(f)
}

// parse reads mountinfo as proc(5) describes it: ID, parent, device, root,
// mount point, options, optional fields, "-", type, source, super options.
func parse(r io.Reader) ([]Mount, error) {
	var all []Mount
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		left, right, ok := strings.Cut(lines.Text(), " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		if !ok || len(l) < 6 || len(r) < 2 {
			return nil, fmt.Errorf("mount table has the line %q", lines.Text())
		}
		id, err := strconv.Atoi(l[0])
		if err != nil {
			return nil, fmt.Errorf("mount table has the line %q", lines.Text())
		}
		m := Mount{ID: id, Point: unescape(l[4]), Type: r[0], Source: unescape(r[1]), Flags: l[5]}
		if len(r) > 2 {
			m.Owner = owner(r[2])
		}
		all = append(all, m)
	}
	return all, lines.Err()
}

func owner(superOptions string) int {
	for opt := range strings.SplitSeq(superOptions, ",") {
		if v, ok := strings.CutPrefix(opt, "user_id="); ok {
			if n, err := strconv.Atoi(v); err == nil {
				return n
			}
		}
	}
	return 0
}

// unescape undoes the \040 for a space, and such.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+4 <= len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// Resolve makes a path the way the mount table has it: absolute and without
// symbolic links. It works on a mount point whose server is dead.
func Resolve(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if _, mounted, err := At(abs); err == nil && mounted {
		return abs, nil
	}
	real, err := filepath.EvalSymlinks(abs)
	if err == nil {
		return real, nil
	}
	if !errors.Is(err, unix.ENOTCONN) {
		return "", err
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(abs))
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, filepath.Base(abs)), nil
}
