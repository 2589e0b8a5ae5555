package servers

import (
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// A program is a test server that `go install` can build.
type program struct{ pkg, version string }

var versitygw = program{"github.com/versity/versitygw/cmd/versitygw", "v1.8.0"}

// InstallAll builds every server that the tests start, where that has not been
// done yet, and returns the paths of the programs.
func InstallAll() ([]string, error) {
	var paths []string
	for _, p := range []program{versitygw, fakeGCS, gofakes3, minio} {
		file, err := p.install()
		if err != nil {
			return paths, err
		}
		paths = append(paths, file)
	}
	for _, p := range []npmProgram{azurite, node, fauxqs} {
		file, err := p.install()
		if err != nil {
			return paths, err
		}
		paths = append(paths, file)
	}
	return paths, nil
}

// install returns the path of p's binary, building it if it is not there yet.
// Processes that run at the same time wait for one of them to build it.
func (p program) install() (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	name := path.Base(p.pkg)
	file := filepath.Join(cache, "bin", name+"@"+p.version)
	return file, once(file, func(gobin string) error {
		cmd := exec.Command("go", "install", "-trimpath", "-ldflags=-s -w", p.pkg+"@"+p.version)
		// A go.work or a -mod flag of the caller says nothing about this module.
		cmd.Env = append(os.Environ(), "GOBIN="+gobin, "GOFLAGS=", "GOWORK=off", "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("go install %s@%s: %w\n%s", p.pkg, p.version, err, out)
		}
		return os.Rename(filepath.Join(gobin, name), file)
	})
}

// once makes file, by build, if it is not there. Build works in a temporary
// directory and at last renames what it made, so that what was killed half-way
// is not taken for whole.
func once(file string, build func(temp string) error) error {
	if _, err := os.Stat(file); err == nil {
		return nil
	}
	cache, err := cacheDir()
	if err != nil {
		return err
	}
	bin := filepath.Join(cache, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return err
	}
	lock, err := lockFile(filepath.Join(bin, filepath.Base(file)+".lock"))
	if err != nil {
		return err
	}
	defer lock.Close()
	if _, err := os.Stat(file); err == nil { // somebody else built it meanwhile
		return nil
	}
	temp, err := os.MkdirTemp(bin, "build-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	return build(temp)
}

// cacheDir is where programs and the data of running servers are kept.
func cacheDir() (string, error) {
	if dir, err := os.UserCacheDir(); err == nil {
		return filepath.Join(dir, "pailfs-test"), nil
	}
	// No HOME: a directory of this user alone, as others may write to /tmp.
	dir := filepath.Join(os.TempDir(), "pailfs-test-"+strconv.Itoa(os.Getuid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return "", err
	}
	if int(st.Uid) != os.Getuid() || st.Mode&0o022 != 0 {
		return "", fmt.Errorf("%s can be written to by somebody else", dir)
	}
	return dir, nil
}

// lockFile opens a file and waits for an exclusive lock on it, which goes away
// when the file is closed or the process ends.
func lockFile(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
		if err != unix.EINTR {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	return f, nil
}

// dataDir makes a directory for the objects of one server, on a disk with user
// extended attributes. It is locked while the returned file is open; those that
// a killed process left behind are removed here.
func dataDir(server string) (string, *os.File, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", nil, err
	}
	var tried []string
	for _, root := range slices.Compact([]string{cache, filepath.Join(os.TempDir(), "pailfs-test-"+strconv.Itoa(os.Getuid()))}) {
		if err := os.MkdirAll(root, 0o700); err != nil {
			tried = append(tried, err.Error())
			continue
		}
		if err := unix.Setxattr(root, "user.pailfs.test", []byte("1"), 0); err != nil {
			tried = append(tried, fmt.Sprintf("%s: %v", root, err))
			continue
		}
		removeStale(root, server)
		dir, err := os.MkdirTemp(root, server+"-")
		if err != nil {
			return "", nil, err
		}
		lock, err := lockFile(filepath.Join(dir, "lock"))
		return dir, lock, err
	}
	return "", nil, fmt.Errorf("no directory with user extended attributes for the data of %s: %v", server, tried)
}

// removeStale removes the data of servers whose process has ended.
func removeStale(root, server string) {
	dirs, _ := filepath.Glob(filepath.Join(root, server+"-*"))
	for _, dir := range dirs {
		// A directory without a lock file is being made by somebody just now.
		f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR, 0)
		if err != nil {
			continue
		}
		if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			os.RemoveAll(dir)
		}
		f.Close()
	}
}
