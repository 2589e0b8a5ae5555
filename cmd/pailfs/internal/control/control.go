// Package control lets `pailfs umount` and `pailfs status` talk to the process
// that serves a mount. Each mount has a lock file and a socket in its run
// directory, named after the mount point; the socket carries one request and its
// answer, as JSON. After a request to unmount it stays open until the process
// ends.
package control

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Request asks for one thing.
type Request struct {
	// Unmount waits until everything is committed. Lazy does not refuse when
	// files are open. Progress asks for answers with a Progress meanwhile.
	Unmount  bool `json:"unmount,omitempty"`
	Lazy     bool `json:"lazy,omitempty"`
	Progress bool `json:"progress,omitempty"`
	PID      int  `json:"pid,omitempty"` // who asks, and is no reason to be busy

	Status bool `json:"status,omitempty"`

	// Wait names a key, and waits until the file there is committed.
	Wait string `json:"wait,omitempty"`

	// LogLevel changes what is logged: debug, info, warn or error.
	LogLevel string `json:"log_level,omitempty"`
}

// Answer ends a request, unless it has Progress: then more follow.
type Answer struct {
	Err      string    `json:"err,omitempty"` // why what was asked for did not happen
	Busy     []string  `json:"busy,omitempty"`
	Unsaved  []Unsaved `json:"unsaved,omitempty"` // unmounted, but these are not committed
	Progress *Progress `json:"progress,omitempty"`
	Status   *Status   `json:"status,omitempty"`
	Object   *Object   `json:"object,omitempty"`
}

// Unsaved is a file that could not be committed.
type Unsaved struct {
	Key  string `json:"key"`
	Size int64  `json:"size"`
	Err  string `json:"err"`
	Kept string `json:"kept,omitempty"` // where its bytes are, if anywhere

	At time.Time `json:"at"` // when that was known
}

func (u Unsaved) String() string {
	s := fmt.Sprintf("%q (%d bytes) is not saved: %s", u.Key, u.Size, u.Err)
	if u.Kept != "" {
		return s + "; its bytes are kept under " + u.Kept
	}
	return s
}

// Name is the file name, without suffix, of what belongs to a mount point:
// readable, unique, and short enough for the address of a socket.
func Name(mountpoint string) string {
	sum := sha256.Sum256([]byte(mountpoint))
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '_'
	}, filepath.Base(mountpoint))
	return fmt.Sprintf("%.20s-%s", name, hex.EncodeToString(sum[:6]))
}

// makeDir makes a directory that only its owner may use, or checks that it is
// one: in a directory open to all, somebody else may have been first.
func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return private(dir, os.Getuid())
}

func private(dir string, owner int) error {
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return &os.PathError{Op: "stat", Path: dir, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR || int(st.Uid) != owner || st.Mode&0o022 != 0 {
		return &os.PathError{Op: "use", Path: dir, Err: errors.New("others can write there, or it belongs to somebody else")}
	}
	return nil
}
