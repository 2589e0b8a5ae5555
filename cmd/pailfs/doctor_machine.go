package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/pailfs/pailfs/cmd/pailfs/internal/mounts"
	"github.com/pailfs/pailfs/mountopts"
	"golang.org/x/sys/unix"
)

// checkMachine looks at what a mount needs of this machine.
func checkMachine(o *mountopts.Options) []finding {
	if !canMount {
		return []finding{{"machine", skip, errNoMount.Error(), ""}}
	}
	found := []finding{checkKernel(), checkDevice(), checkFusermount(), checkAllowOther(), checkHelper(), checkOpenFiles(), checkSpace("state directory", o.StateDir)}
	if o.CacheDir != "" {
		found = append(found, checkSpace("cache directory", o.CacheDir))
	}
	return found
}

// Linux 5.11 is the first with FUSE_HANDLE_KILLPRIV_V2: before it, each write asks
// for an attribute first.
const wantMajor, wantMinor = 5, 11

func checkKernel() finding {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return finding{"kernel", skip, err.Error(), ""}
	}
	release := unix.ByteSliceToString(u.Release[:])
	f := finding{"kernel", good, runtime.GOOS + " " + release, ""}
	var major, minor int
	if _, err := fmt.Sscanf(release, "%d.%d", &major, &minor); err == nil && (major < wantMajor || major == wantMajor && minor < wantMinor) {
		f.Result, f.Do = warn, fmt.Sprintf("writing is faster with Linux %d.%d or later", wantMajor, wantMinor)
	}
	return f
}

func checkDevice() finding {
	if err := checkFuse(); err != nil {
		return finding{fuseDevice, bad, err.Error(), "without it nothing can be mounted; ls, cp and the like work"}
	}
	return finding{fuseDevice, good, "can be used", ""}
}

func checkFusermount() finding {
	path, err := exec.LookPath("fusermount3")
	switch {
	case err == nil:
		return finding{"fusermount3", good, path, ""}
	case os.Geteuid() == 0:
		return finding{"fusermount3", warn, "is missing", "root does without; for other users: apt install fuse3"}
	}
	return finding{"fusermount3", bad, "is missing", "only root can mount without: apt install fuse3"}
}

func checkAllowOther() finding {
	conf, err := os.ReadFile(fuseConf)
	switch {
	case err == nil && userAllowOther.Match(conf):
		return finding{"allow-other", good, "everybody may use it", ""}
	case os.Geteuid() == 0:
		return finding{"allow-other", good, "root may use it, others may not", ""}
	}
	return finding{"allow-other", warn, "only root may let other users into a mount", "as root: echo user_allow_other >> " + fuseConf}
}

func checkHelper() finding {
	for _, dir := range []string{"/sbin", "/usr/sbin"} {
		if path := filepath.Join(dir, "mount.pailfs"); unix.Access(path, unix.X_OK) == nil {
			return finding{"mount helper", good, path, ""}
		}
	}
	return finding{"mount helper", warn, "mount(8) and fstab do not find pailfs", "install the package, or run make install"}
}

// wantFiles is room for some hundred connections, and as many files in a cache.
const wantFiles = 4096

func checkOpenFiles() finding {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return finding{"open files", skip, err.Error(), ""}
	}
	f := finding{"open files", good, fmt.Sprintf("at most %d", limit.Max), ""} // Go raises the soft limit to the hard one
	if limit.Max < wantFiles {
		f.Result, f.Do = warn, fmt.Sprintf("raise the hard limit to %d: ulimit -Hn, or LimitNOFILE= of the unit", wantFiles)
	}
	return f
}

const wantSpace = 256 << 20

func checkSpace(what, dir string) finding {
	have := dir
	var st unix.Statfs_t
	for {
		err := unix.Statfs(have, &st)
		if err == nil {
			break
		}
		if !errors.Is(err, os.ErrNotExist) || have == "/" || have == "." {
			return finding{what, bad, fmt.Sprintf("%s: %v", dir, err), "choose another"}
		}
		have = filepath.Dir(have)
	}
	free := int64(st.Bavail) * int64(st.Bsize)
	f := finding{what, good, fmt.Sprintf("%s, %s free", dir, readable(free)), ""}
	switch {
	case have == dir && unix.Access(dir, unix.W_OK) != nil:
		f.Result, f.Do = bad, "it cannot be written to: choose another"
	case free < wantSpace:
		f.Result, f.Do = warn, "make room: what cannot be kept in the bucket or in memory has its place there"
	}
	return f
}

// checkMountpoint looks whether files could land on the disk below a mount point
// while nothing is mounted there.
func checkMountpoint(path string, fix bool) finding {
	point, err := mounts.Resolve(path)
	if err != nil {
		return finding{"mount point", bad, fmt.Sprintf("%s: %v", path, reason(err)), "create it: mkdir -p " + path}
	}
	m, mounted, err := mounts.At(point)
	switch {
	case err != nil:
		return finding{"mount point", skip, err.Error(), ""}
	case mounted && m.Type == mounts.Type && mounts.Dead(point, 5*time.Second):
		return finding{"mount point", bad, "the server of what is mounted there is dead", "mount it again: that cleans up"}
	case mounted:
		return finding{"mount point", good, "mounted: " + m.Source, ""}
	}
	if err := checkDirectory(point, false); err != nil {
		return finding{"mount point", bad, err.Error(), "what is there would be hidden by the mount"}
	}
	if closed(point) {
		return finding{"mount point", good, point + " refuses files while nothing is mounted", ""}
	}
	if !fix {
		return finding{"mount point", warn, "files written to " + point + " while nothing is mounted land on the local disk", "as root: pailfs doctor --fix SOURCE " + point}
	}
	if err := closeDirectory(point); err != nil {
		return finding{"mount point", bad, err.Error(), "run it as root"}
	}
	return finding{"mount point", good, point + " now refuses files while nothing is mounted", ""}
}

var pruned = regexp.MustCompile(`(?m)^\s*PRUNEFS\s*=\s*"([^"]*)"`)

// checkUpdatedb looks whether locate's nightly walk would read all of the bucket.
func checkUpdatedb(conf string, fix bool) finding {
	text, err := os.ReadFile(conf)
	if errors.Is(err, os.ErrNotExist) {
		return finding{"updatedb", good, "is not here", ""}
	}
	if err != nil {
		return finding{"updatedb", skip, err.Error(), ""}
	}
	at := pruned.FindSubmatchIndex(text)
	if at != nil && slices.Contains(strings.Fields(string(text[at[2]:at[3]])), mounts.Type) {
		return finding{"updatedb", good, "leaves pailfs alone", ""}
	}
	if !fix {
		return finding{"updatedb", warn, "would list the whole bucket each night", "add " + mounts.Type + " to PRUNEFS in " + conf + ", or run pailfs doctor --fix"}
	}
	if at == nil {
		text = append(bytes.TrimRight(text, "\n"), "\nPRUNEFS=\""+mounts.Type+"\"\n"...)
	} else {
		text = slices.Insert(text, at[3], []byte(" "+mounts.Type)...)
	}
	if err := replaceFile(conf, text); err != nil {
		return finding{"updatedb", bad, err.Error(), "run it as root"}
	}
	return finding{"updatedb", good, "now leaves pailfs alone", ""}
}

// replaceFile writes a file anew, with the mode it has.
func replaceFile(path string, text []byte) error {
	fi, err := os.Stat(path)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path))
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if err := errors.Join(err, f.Chmod(fi.Mode().Perm()), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
