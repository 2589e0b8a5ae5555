package mountopts

import (
	"os"
	"path/filepath"
	"strconv"
)

// DefaultRunDir is where the control sockets of a user's mounts are.
func DefaultRunDir(uid int, getenv func(string) string) string {
	if uid == 0 {
		return "/run/pailfs"
	}
	if dir := getenv("XDG_RUNTIME_DIR"); dir != "" {
		return filepath.Join(dir, "pailfs")
	}
	return filepath.Join(os.TempDir(), "pailfs-"+strconv.Itoa(uid))
}

// defaultStateDir is where bytes are kept that could not be saved. It must
// survive a restart of the machine, so it is not the run directory.
func defaultStateDir(uid int, getenv func(string) string) string {
	if uid == 0 {
		return "/var/lib/pailfs"
	}
	if dir := getenv("XDG_STATE_HOME"); dir != "" {
		return filepath.Join(dir, "pailfs")
	}
	if home := getenv("HOME"); home != "" {
		return filepath.Join(home, ".local", "state", "pailfs")
	}
	return ""
}
