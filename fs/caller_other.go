//go:build !amd64 && !arm64

package fs

// Unknown here: no call is taken for an execve.
const (
	sysExecve   = -2
	sysExecveat = -2
)
