package dirstore

import (
	"context"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Names of the files that go with an upload.
const (
	keySuffix   = ".key"
	straySuffix = ".stray"
)

// AbortStale removes the temporary files below prefix, older than olderThan,
// whose process is dead; uploads of living processes are left alone. It counts
// the uploads and unfinished objects.
func (s *Store) AbortStale(ctx context.Context, prefix string, olderThan time.Time) (int, error) {
	if err := s.enter(ctx, "abort", prefix); err != nil {
		return 0, err
	}
	defer s.leave()
	dirs, err := s.dirs(false)
	if dirs == nil || err != nil {
		if err != nil {
			err = classify("abort", prefix, err)
		}
		return 0, err
	}
	fd, err := openat(dirs.temp, ".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return 0, classify("abort", prefix, err)
	}
	f := os.NewFile(uintptr(fd), "temp")
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return 0, classify("abort", prefix, err)
	}
	count := 0
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return count, classify("abort", prefix, err)
		}
		gone, err := s.removeStale(dirs.temp, name, prefix, olderThan)
		if err != nil && !absent(err) {
			return count, classify("abort", prefix, err)
		}
		if gone && !strings.Contains(name, ".") {
			count++
		}
	}
	return count, nil
}

// removeStale removes one file if it is stale. The companions of an upload go
// with it, and by themselves where it is gone.
func (s *Store) removeStale(dir int, name, prefix string, olderThan time.Time) (bool, error) {
	upload, _, companion := strings.Cut(name, ".")
	if companion {
		if _, err := statAt(dir, upload); err == nil {
			return false, nil
		}
	}
	n, err := statAt(dir, name)
	if err != nil || !n.regular() || !time.Unix(0, n.mtime).Before(olderThan) {
		return false, err
	}
	fd, err := openat(dir, name, unix.O_RDWR|unix.O_NOFOLLOW, 0)
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return false, nil // its process lives
	}
	if strings.HasPrefix(name, "up-") && !companion && !below(dir, name, prefix) {
		return false, nil
	}
	if err := unix.Unlinkat(dir, name, 0); err != nil {
		return false, err
	}
	if !companion {
		_ = unix.Unlinkat(dir, name+keySuffix, 0)
		_ = unix.Unlinkat(dir, name+straySuffix, 0)
	}
	return true, nil
}

// below tells whether the upload is for a key below prefix. One that died before
// it wrote its key is for any.
func below(dir int, name, prefix string) bool {
	fd, err := openat(dir, name+keySuffix, unix.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err == unix.ENOENT
	}
	defer unix.Close(fd)
	key := make([]byte, len(prefix))
	for n := 0; n < len(key); {
		m, err := unix.Pread(fd, key[n:], int64(n))
		if err != nil || m == 0 {
			return false
		}
		n += m
	}
	return string(key) == prefix
}
