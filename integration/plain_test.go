package integration

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pailfs/pailfs/objstore"
	"golang.org/x/sys/unix"
)

// put writes an object into the bucket, not through a mount.
func (p *place) put(t testing.TB, key, content string, metadata map[string]string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
	defer cancel()
	body := io.NewSectionReader(strings.NewReader(content), 0, int64(len(content)))
	_, err := p.store(t).Put(ctx, key, body, objstore.PutOptions{Metadata: metadata})
	check(t, err)
}

// TestP7PlainObjects: objects of other tools are files, and files are objects
// whose attributes other tools understand. Keys that are no path are hidden,
// and hurt nothing.
func TestP7PlainObjects(t *testing.T) {
	onTargets(t, func(t *testing.T, p *place) {
		p.put(t, "top", "1", nil)
		p.put(t, "implicit/deep/file", "22", map[string]string{"mtime": "1000000000.5", "mode": strconv.Itoa(0o100640), "uid": "65534", "gid": "65534"})
		p.put(t, "a b+c%20ü", "333", nil)
		p.put(t, "a-", "", nil)
		p.put(t, "a.", "", nil)
		p.put(t, "a/x", "", nil)
		odd := []string{}
		if p.kind == "s3" {
			odd = []string{"odd//name"}
		}
		for _, key := range odd {
			p.put(t, key, "odd", nil)
		}
		m := p.mount(t)
		s := shell{dir: m.dir, env: environ(tempDir(t))}
		s.run(t, `
is "1 22 333" "$(cat top; echo -n ' '; cat implicit/deep/file; echo -n ' '; cat a\ b*)"
is "640 65534 65534 1000000000 2" "$(stat -c '%a %u %g %Y %s' implicit/deep/file)"
[ -d implicit ] && [ -d implicit/deep ] && [ -f a- ] && [ -f a. ] && [ -f a/x ]
find . -ls > /dev/null; touch implicit/new; rm implicit/deep/file; [ -d implicit/deep ]; rmdir implicit/deep
echo data > mine; chmod 750 mine; chown 12:34 mine; touch -d @1234567890 mine; ln -s mine link; mkdir empty`)
		m.umount(t)
		ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
		defer cancel()
		o, err := p.store(t).Stat(ctx, "mine")
		check(t, err)
		mode, err := strconv.ParseUint(o.Metadata["mode"], 0, 32)
		check(t, err)
		mtime, err := strconv.ParseFloat(o.Metadata["mtime"], 64)
		check(t, err)
		if mode&0o7777 != 0o750 || o.Metadata["uid"] != "12" || o.Metadata["gid"] != "34" || int64(mtime) != 1234567890 {
			t.Errorf("metadata of mine: %v", o.Metadata)
		}
		p.holds(t, "mine", []byte("data\n"), "written through the mount")
		if _, ok := p.object(t, "empty/"); !ok {
			t.Error("mkdir made no marker empty/")
		}
		for _, key := range odd {
			p.holds(t, key, []byte("odd"), "a key that is no path")
		}
		if got, ok := p.object(t, "top"); !ok || string(got) != "1" {
			t.Error("an object that nobody touched has changed")
		}
	}, mountTargets...)
}

// TestP8Truthful: what cannot be done fails with the errno that programs
// understand.
func TestP8Truthful(t *testing.T) {
	onTargets(t, func(t *testing.T, p *place) {
		m := p.mount(t)
		at := func(name string) string { return filepath.Join(m.dir, name) }
		check(t, os.WriteFile(at("f"), []byte("x"), 0o644))
		check(t, os.MkdirAll(at("d/e"), 0o755))
		is := func(what string, err error, want ...error) {
			t.Helper()
			for _, w := range want {
				if errors.Is(err, w) {
					return
				}
			}
			t.Errorf("%s: %v, not %v", what, err, want)
		}
		is("link", os.Link(at("f"), at("g")), unix.EPERM)
		is("mknod", unix.Mknod(at("fifo"), unix.S_IFIFO|0o644, 0), unix.EPERM, unix.ENOTSUP)
		is("mkdir over a file", os.Mkdir(at("f"), 0o755), unix.EEXIST)
		is("rmdir", unix.Rmdir(at("d")), unix.ENOTEMPTY)
		is("unlink of a directory", unix.Unlink(at("d")), unix.EISDIR)
		is("rename over a directory", os.Rename(at("f"), at("d")), unix.EISDIR, unix.EEXIST)
		is("rename into itself", os.Rename(at("d"), at("d/e/d")), unix.EINVAL)
		is("rename, no replace", unix.Renameat2(unix.AT_FDCWD, at("f"), unix.AT_FDCWD, at("d"), unix.RENAME_NOREPLACE), unix.EEXIST)
		is("rename, exchange", unix.Renameat2(unix.AT_FDCWD, at("f"), unix.AT_FDCWD, at("d"), unix.RENAME_EXCHANGE), unix.EINVAL, unix.ENOTSUP, unix.ENOSYS)
		is("long name", os.WriteFile(at(strings.Repeat("n", 300)), nil, 0o644), unix.ENAMETOOLONG)
		_, err := unix.Getxattr(at("f"), "user.none", make([]byte, 10))
		is("getxattr", err, unix.ENODATA)
		_, err = unix.Getxattr(at("f"), "security.selinux", make([]byte, 10))
		is("getxattr security", err, unix.ENODATA, unix.ENOTSUP)
		_, err = os.OpenFile(at("d"), os.O_WRONLY, 0)
		is("open a directory for writing", err, unix.EISDIR)
		_, err = os.ReadFile(at("f/below"))
		is("path through a file", err, unix.ENOTDIR)
		m.umount(t)

		m = p.mount(t, "-o", "ro")
		is("write on a read-only mount", os.WriteFile(at("f"), []byte("y"), 0o644), unix.EROFS)
		is("remove on a read-only mount", os.Remove(at("f")), unix.EROFS)
		is("mkdir on a read-only mount", os.Mkdir(at("n"), 0o755), unix.EROFS)
		is("chmod on a read-only mount", os.Chmod(at("f"), 0o600), unix.EROFS)
		p.holds(t, "f", []byte("x"), "at the end")
		m.umount(t)
	}, mountTargets...)
}

// TestForeground: with -f the command is the server; it logs to stderr and ends
// with 0 when it is unmounted.
func TestForeground(t *testing.T) {
	onTargets(t, func(t *testing.T, p *place) {
		m := p.prepare(t)
		ended := make(chan error, 1)
		var out string
		go func() {
			var err error
			out, err = p.pailfs("mount", "-f", p.source, m.dir)
			ended <- err
		}()
		for len(mountsBelow(m.dir)) == 0 {
			select {
			case err := <-ended:
				t.Fatalf("ended: %v\n%s", err, out)
			case <-time.After(20 * time.Millisecond):
			}
		}
		check(t, os.WriteFile(filepath.Join(m.dir, "f"), bytes.Repeat([]byte("x"), 1000), 0o644))
		if out, err := p.pailfs("umount", m.dir); err != nil {
			t.Errorf("umount: %v\n%s", err, out)
			m.kill()
		}
		if err := <-ended; err != nil {
			t.Errorf("ended: %v\n%s", err, out)
		}
		p.holds(t, "f", bytes.Repeat([]byte("x"), 1000), "at the end")
	}, mountTargets...)
}
