package dirstore

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pailfs/pailfs/objstore"
)

// childEnv makes the test binary a process that leaves an upload behind in the
// directory it names.
const childEnv = "DIRSTORE_TEST_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		if err := child(dir); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// child begins an upload and a put, says so, and waits to be killed.
func child(dir string) error {
	ctx := context.Background()
	s, err := Open(dir)
	if err != nil {
		return err
	}
	u, err := s.NewUpload(ctx, "below/k", objstore.PutOptions{})
	if err != nil {
		return err
	}
	if err := u.PutPart(ctx, 1, section([]byte("part"))); err != nil {
		return err
	}
	t, err := s.newTemp("put")
	if err != nil {
		return err
	}
	fmt.Println("ready")
	_, err = io.ReadAll(os.Stdin)
	t.discard()
	return err
}

func TestFilesOfDeadProcessesAreRemoved(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	later := time.Now().Add(time.Hour)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	in, err := cmd.StdinPipe()
	check(t, err)
	defer in.Close()
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	line := make([]byte, 6)
	if _, err := io.ReadFull(out, line); err != nil || string(line) != "ready\n" {
		t.Fatalf("child says %q, %v", line, err)
	}
	abort := func(prefix string, older time.Time, want int) {
		t.Helper()
		if n, err := s.AbortStale(t.Context(), prefix, older); err != nil || n != want {
			t.Errorf("aborted %d below %q, %v, want %d", n, prefix, err, want)
		}
	}
	abort("", later, 0) // it lives
	check(t, cmd.Process.Kill())
	_ = cmd.Wait()                           // killed
	abort("", time.Now().Add(-time.Hour), 0) // too young
	abort("other/", later, 1)                // the put, which is for no prefix
	abort("below/", later, 1)
	abort("", later, 0)
	left, err := os.ReadDir(filepath.Join(dir, private, "temp"))
	if err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// A change by another process that holds the lock is waited for. Locks belong
// to descriptors, so two stores stand for two processes.
func TestLockHoldsBetweenProcesses(t *testing.T) {
	dir := t.TempDir()
	ours, theirs := open(t, dir), open(t, dir)
	unlock, err := theirs.lock(t.Context(), "k")
	check(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = ours.Put(ctx, "k", section([]byte("x")), objstore.PutOptions{})
	wantKind(t, "put", err, objstore.ErrTransient)
	wantKeys(t, ours)
	unlock()
	put(t, ours, "k", []byte("x"), objstore.PutOptions{})
}

func TestNothingIsLeftInPrivate(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	for i := range 3 {
		put(t, s, "k", []byte{byte(i)}, objstore.PutOptions{})
	}
	u, err := s.NewUpload(t.Context(), "u", objstore.PutOptions{})
	check(t, err)
	check(t, u.PutPart(t.Context(), 2, section([]byte("x"))))
	check(t, u.PutPart(t.Context(), 1, section([]byte("longer")))) // a stray
	check(t, u.Abort(t.Context()))
	_, err = s.Put(t.Context(), "k", section(nil), objstore.PutOptions{Cond: objstore.Cond{Absent: true}})
	wantKind(t, "put", err, objstore.ErrCond)
	var files []string
	for _, sub := range []string{"temp", "side"} {
		check(t, filepath.WalkDir(filepath.Join(dir, private, sub), func(p string, d os.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				files = append(files, p)
			}
			return err
		}))
	}
	if len(files) != 1 {
		t.Errorf("%q, want the one sidecar of k", files)
	}
}

func TestErrnosHaveKinds(t *testing.T) {
	for no, kind := range map[unix.Errno]error{
		unix.ENOSPC: objstore.ErrQuota, unix.EDQUOT: objstore.ErrQuota,
		unix.EACCES: objstore.ErrPermission, unix.EPERM: objstore.ErrPermission, unix.EROFS: objstore.ErrPermission,
		unix.ENOENT: objstore.ErrNotFound, unix.EXDEV: objstore.ErrUnsupported,
		unix.ESTALE: objstore.ErrTransient, unix.EIO: objstore.ErrOther,
	} {
		err := fmt.Errorf("write: %w", &os.PathError{Op: "write", Err: no})
		wantKind(t, no.Error(), classify("put", "k", err), kind)
	}
}

// A file that has just been made and is not locked yet looks as if it had been
// left behind.
func TestCleaningSparesTheNewborn(t *testing.T) {
	dir := t.TempDir()
	ours, theirs := open(t, dir), open(t, dir)
	later, stop := time.Now().Add(time.Hour), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			if _, err := theirs.AbortStale(context.Background(), "", later); err != nil {
				done <- err
				return
			}
		}
	}()
	for i := range 500 {
		if _, err := ours.Put(t.Context(), "k", section([]byte("x")), objstore.PutOptions{}); err != nil {
			t.Fatalf("put %d: %v", i, err)
		}
	}
	close(stop)
	check(t, <-done)
}
