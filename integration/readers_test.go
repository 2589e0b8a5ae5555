package integration

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// oneOf reports which of the versions the content is, or -1.
func oneOf(content []byte, versions [][]byte) int {
	for i, v := range versions {
		if bytes.Equal(content, v) {
			return i
		}
	}
	return -1
}

// TestP2ReadersSeeWholeObjects: while a file is replaced again and again, a
// reader of another mount and one of the bucket see one of its versions whole.
// A reader overtaken by a new version may get ESTALE, never a mix.
func TestP2ReadersSeeWholeObjects(t *testing.T) {
	versions := make([][]byte, 12)
	for i := range versions {
		versions[i] = bytes.Repeat([]byte{byte('a' + i)}, partSize+1000*i)
	}
	onTargets(t, func(t *testing.T, p *place) {
		writer, reader := p.mount(t), p.mount(t)
		check(t, os.WriteFile(filepath.Join(writer.dir, "f"), versions[0], 0o644))
		written := make(chan error, 1)
		go func() {
			var err error
			for _, v := range versions {
				if err = os.WriteFile(filepath.Join(writer.dir, "f"), v, 0o644); err != nil {
					break
				}
			}
			written <- err
		}()
		for looks, done := 0, false; !done; looks++ {
			select {
			case err := <-written:
				check(t, err)
				done = true
			default:
			}
			got, err := os.ReadFile(filepath.Join(reader.dir, "f"))
			if err == nil && oneOf(got, versions) < 0 {
				t.Fatalf("look %d through a mount: %d bytes that are no version: %q...", looks, len(got), got[:min(20, len(got))])
			}
			if err != nil && !errors.Is(err, unix.ESTALE) {
				t.Fatalf("look %d through a mount: %v", looks, err)
			}
			if got, ok := p.object(t, "f"); !ok || oneOf(got, versions) < 0 {
				t.Fatalf("look %d at the bucket: %d bytes that are no version", looks, len(got))
			}
		}
		p.holds(t, "f", versions[len(versions)-1], "at the end")
		writer.umount(t)
		reader.umount(t)
		p.leftovers(t)
	}, mountTargets...)
}

// TestP2OpenReader: a reader that has a file open goes on with the version it
// opened, or gets ESTALE, when another mount replaces the file.
func TestP2OpenReader(t *testing.T) {
	onTargets(t, func(t *testing.T, p *place) {
		writer, reader := p.mount(t), p.mount(t)
		old, fresh := noise(1, 4*partSize), noise(2, 4*partSize)
		check(t, os.WriteFile(filepath.Join(writer.dir, "f"), old, 0o644))
		f, err := os.Open(filepath.Join(reader.dir, "f"))
		check(t, err)
		defer f.Close()
		got := make([]byte, len(old))
		_, err = f.ReadAt(got[:4096], 0)
		check(t, err)
		check(t, os.WriteFile(filepath.Join(writer.dir, "f"), fresh, 0o644))
		for off := 0; off < len(old); off += 64 << 10 {
			n, err := f.ReadAt(got[off:off+64<<10], int64(off))
			if errors.Is(err, unix.ESTALE) {
				break
			}
			check(t, err)
			if !bytes.Equal(got[off:off+n], old[off:off+n]) {
				t.Fatalf("at %d there is something that was not in the version opened", off)
			}
		}
		check(t, f.Close())
		s := shell{dir: reader.dir, env: environ(tempDir(t))}
		again, err := os.ReadFile(filepath.Join(s.dir, "f"))
		check(t, err)
		if oneOf(again, [][]byte{old, fresh}) < 0 {
			t.Fatal("opened again, the file is neither version")
		}
		writer.umount(t)
		reader.umount(t)
	}, mountTargets...)
}

// TestP2Children: a program that starts children between its writes publishes
// nothing by that, however the children come to close what they inherit.
func TestP2Children(t *testing.T) {
	need(t, "/usr/bin/python3")
	for name, child := range map[string]string{
		"execve":          "pid = os.fork()\n    if pid == 0: os.execv('/bin/true', ['true'])\n    os.waitpid(pid, 0)",
		"spawn":           "os.waitpid(os.posix_spawn('/bin/true', ['true'], {}), 0)",
		"subprocess":      "subprocess.run(['/bin/true'], check=True, close_fds=False)",
		"closes in child": "subprocess.run(['/bin/true'], check=True)",
		"shell":           "os.system('/bin/true; /bin/true')",
	} {
		t.Run(name, func(t *testing.T) {
			onTargets(t, func(t *testing.T, p *place) { childrenBetweenWrites(t, p, child) }, mountTargets...)
		})
	}
}

func childrenBetweenWrites(t *testing.T, p *place, child string) {
	program := `
import os, subprocess, sys
fd = os.open('f', os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
for i in range(6):
    os.write(fd, bytes([97 + i]) * (3 << 20))
    ` + child + `
    print('look', flush=True)
    sys.stdin.readline()
os.close(fd)
`
	old := []byte("the old content")
	var fresh []byte
	for i := range 6 {
		fresh = append(fresh, bytes.Repeat([]byte{byte('a' + i)}, 3<<20)...)
	}
	m, other := p.mount(t), p.mount(t)
	check(t, os.WriteFile(filepath.Join(m.dir, "f"), old, 0o644))
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
	defer cancel()
	cmd := command(ctx, "/usr/bin/python3", "-c", program)
	cmd.Dir, cmd.Stderr = m.dir, os.Stderr
	in, err := cmd.StdinPipe()
	check(t, err)
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	for lines := bufio.NewScanner(out); lines.Scan(); {
		p.holds(t, "f", old, "between writes")
		got, err := os.ReadFile(filepath.Join(other.dir, "f"))
		check(t, err)
		if !bytes.Equal(got, old) {
			t.Errorf("another mount sees half a file: %s", differ(old, got))
		}
		if _, err := in.Write([]byte("\n")); err != nil {
			t.Fatal(err)
		}
	}
	check(t, cmd.Wait())
	p.holds(t, "f", fresh, "after close")
	m.umount(t)
	other.umount(t)
	p.leftovers(t)
}
