package integration

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// writers of half a file, told how many KiB to write. They hold the file
// themselves: a child of a shell that ends well commits what is there.
var failingWriters = []struct {
	name string
	argv []string
}{
	{"killed", pythonWriter("os.kill(os.getpid(), signal.SIGKILL)")},
	{"terminated", pythonWriter("os.kill(os.getpid(), signal.SIGTERM)")},
	{"exit code", pythonWriter("os._exit(3)")},
	{"shell", []string{"/bin/bash", "-c", `exec > f; half=$(printf 'half%.0s' {1..256}); for ((i = 0; i < $1; i++)); do printf %s "$half"; done; exit 3`, "bash"}},
	{"redirected", []string{"/bin/bash", "-c", `exec /usr/bin/python3 -c 'import sys
for i in range(int(sys.argv[1])): sys.stdout.write("half" * 256)
raise SystemExit(4)' "$1" > f`, "bash"}},
}

func pythonWriter(end string) []string {
	return []string{"/usr/bin/python3", "-c", `
import os, signal, sys
f = open('f', 'wb')
for i in range(int(sys.argv[1])): f.write(b'half' * 256)
f.flush()
` + end}
}

// inDir runs a command in a directory, with a deadline.
func inDir(dir string, argv ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
	defer cancel()
	cmd := command(ctx, argv[0], argv[1:]...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestP2FailedWriter: a writer that dies of a signal, or ends with a non-zero
// exit code, does not replace the old object.
func TestP2FailedWriter(t *testing.T) {
	need(t, "/usr/bin/python3")
	for _, w := range failingWriters {
		t.Run(w.name, func(t *testing.T) {
			onTargets(t, func(t *testing.T, p *place) {
				m := p.mount(t)
				old := noise(7, partSize+5)
				for _, kib := range []int{100, 3 * partSize >> 10} {
					check(t, os.WriteFile(filepath.Join(m.dir, "f"), old, 0o644))
					out, err := inDir(m.dir, append(w.argv, strconv.Itoa(kib))...)
					if err == nil {
						t.Fatalf("the writer succeeded: %s", out)
					}
					p.holds(t, "f", old, "after the writer failed")
					got, err := os.ReadFile(filepath.Join(m.dir, "f"))
					check(t, err)
					if !bytes.Equal(got, old) {
						t.Errorf("the mount shows something else: %s", differ(old, got))
					}
				}
				m.umount(t)
				s := shell{dir: p.mount(t).dir, env: environ(tempDir(t))}
				p.audit(t, s.tree(t))
				p.leftovers(t)
			}, mountTargets...)
		})
	}
}

// TestP2FailedWriterOptions: what --failed-writer does with the bytes, when
// there is an old object and when there is none.
func TestP2FailedWriterOptions(t *testing.T) {
	need(t, "/usr/bin/python3")
	old, half := []byte("old"), bytes.Repeat([]byte("half"), 256*100)
	for _, c := range []struct {
		option              string
		over, partial       []byte // what becomes of f, and f.partial
		fresh, freshPartial []byte // the same of a new file
	}{
		{"keep-old", old, half, half, nil},
		{"partial", old, half, nil, half},
		{"publish", half, nil, half, nil},
	} {
		t.Run(c.option, func(t *testing.T) {
			onTargets(t, func(t *testing.T, p *place) {
				m := p.mount(t, "--failed-writer="+c.option)
				check(t, os.Mkdir(filepath.Join(m.dir, "new"), 0o755))
				check(t, os.WriteFile(filepath.Join(m.dir, "f"), old, 0o644))
				for _, dir := range []string{m.dir, filepath.Join(m.dir, "new")} {
					if out, err := inDir(dir, append(failingWriters[2].argv, "100")...); err == nil {
						t.Fatalf("the writer succeeded: %s", out)
					}
				}
				m.umount(t)
				for key, want := range map[string][]byte{"f": c.over, "f.partial": c.partial, "new/f": c.fresh, "new/f.partial": c.freshPartial} {
					if want != nil {
						p.holds(t, key, want, "after the writer failed")
					} else if _, ok := p.object(t, key); ok {
						t.Errorf("there is a %q", key)
					}
				}
			}, mountTargets...)
		})
	}
}
