package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pailfs/pailfs/mountopts"
	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/faultstore"
	"github.com/pailfs/pailfs/objstore/memstore"
	"golang.org/x/sys/unix"
)

// results are the findings by check, the last of each.
func results(found []finding) map[string]string {
	out := map[string]string{}
	for _, f := range found {
		out[f.Check] = f.Result
	}
	return out
}

// Each right is tried by itself, and what was written for it is gone after.
func TestDoctorTriesEachRight(t *testing.T) {
	rights := []string{"put", "stat", "get", "copy", "upload by parts", "abort", "delete"}
	for _, missing := range append([]faultstore.Op{""}, faultstore.Put, faultstore.Stat, faultstore.Get, faultstore.Copy, faultstore.Upload, faultstore.Abort, faultstore.Delete) {
		mem := memstore.New(memstore.Options{})
		s, faults := faultstore.Wrap(mem)
		remove := func() {}
		if missing != "" {
			remove = faults.Add(faultstore.Rule{Op: missing, Count: 1, Err: objstore.ErrPermission})
		}
		o := mountopts.New()
		o.Source = "s3://b"
		found := checkStore(t.Context(), s, o)
		remove()
		got := results(found)
		for _, right := range rights {
			want := good
			if right == string(missing) || missing == faultstore.Upload && right == "upload by parts" {
				want = bad
			}
			if missing == faultstore.Put && right != "put" {
				want = ""
			}
			if got[right] != want {
				t.Errorf("without %q: %s is %q, want %q", missing, right, got[right], want)
			}
		}
		if missing == "" && (got["conditional writes"] != good || got["clock"] != good) {
			t.Errorf("findings %+v", found)
		}
		for o, err := range objstore.ListAll(t.Context(), mem, objstore.ListRequest{}) {
			t.Errorf("without %q: left behind: %q, %v", missing, o.Key, err)
		}
	}
}

func TestDoctorSeesIgnoredConditions(t *testing.T) {
	s := memstore.New(memstore.Options{Caps: func(c *objstore.Caps) { c.CondPut = false }})
	if got := results(checkStore(t.Context(), s, mountopts.New())); got["conditional writes"] != warn {
		t.Errorf("findings %v", got)
	}
}

func TestDoctorReadOnly(t *testing.T) {
	s, faults := faultstore.Wrap(memstore.New(memstore.Options{}))
	o := mountopts.New()
	o.ReadOnly = true
	if got := results(checkStore(t.Context(), s, o)); got["get"] != skip {
		t.Errorf("an empty bucket: %v", got)
	}
	if _, err := s.Put(t.Context(), "k", section(3), objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	faults.Reset()
	if got := results(checkStore(t.Context(), s, o)); got["get"] != good {
		t.Errorf("findings %v", got)
	}
	if n := faults.Count(faultstore.Put, "*"); n != 0 {
		t.Errorf("%d writes", n)
	}
}

func TestDoctorUpdatedb(t *testing.T) {
	for text, want := range map[string]string{
		"PRUNEFS=\"NFS nfs\"\nX=1\n": "PRUNEFS=\"NFS nfs fuse.pailfs\"\nX=1\n",
		"X=1":                        "X=1\nPRUNEFS=\"fuse.pailfs\"\n",
	} {
		conf := filepath.Join(t.TempDir(), "updatedb.conf")
		if f := checkUpdatedb(conf, true); f.Result != good {
			t.Errorf("without a file: %+v", f)
		}
		if err := os.WriteFile(conf, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
		if f := checkUpdatedb(conf, false); f.Result != warn || !strings.Contains(f.Do, "--fix") {
			t.Errorf("%q: %+v", text, f)
		}
		if f := checkUpdatedb(conf, true); f.Result != good {
			t.Errorf("fix %q: %+v", text, f)
		}
		got, err := os.ReadFile(conf)
		if fi, serr := os.Stat(conf); err != nil || string(got) != want || serr != nil || fi.Mode().Perm() != 0o640 {
			t.Errorf("%q became %q, %v, %v", text, got, err, fi.Mode())
		}
		if f := checkUpdatedb(conf, false); f.Result != good {
			t.Errorf("after the fix: %+v", f)
		}
	}
}

// A mount point that doctor has closed takes no files while nothing is mounted,
// and can be mounted on.
func TestDoctorClosesTheMountPoint(t *testing.T) {
	s := newSite(t)
	if f := checkMountpoint(s.point, false); f.Result != warn {
		t.Errorf("open: %+v", f)
	}
	t.Cleanup(func() {
		if d, err := os.Open(s.point); err == nil {
			defer d.Close()
			if flags, err := unix.IoctlGetUint32(int(d.Fd()), unix.FS_IOC_GETFLAGS); err == nil {
				unix.IoctlSetPointerInt(int(d.Fd()), unix.FS_IOC_SETFLAGS, int(flags&^immutableFlag))
			}
		}
		os.Chmod(s.point, 0o755)
	})
	if f := checkMountpoint(s.point, true); f.Result != good || !closed(s.point) {
		t.Errorf("fixed: %+v", f)
	}
	if f := checkMountpoint(s.point, false); f.Result != good {
		t.Errorf("closed: %+v", f)
	}
	if immutable(s.point) {
		if err := os.WriteFile(filepath.Join(s.point, "f"), nil, 0o644); !errors.Is(err, os.ErrPermission) {
			t.Errorf("write below the mount: %v", err)
		}
	} else if fi, err := os.Stat(s.point); err != nil || fi.Mode().Perm() != 0 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
	if os.Geteuid() != 0 {
		return // who is not root may mount only where he can write
	}
	s.mount()
	if f := checkMountpoint(s.point, false); f.Result != good || !strings.Contains(f.Detail, "mounted") {
		t.Errorf("mounted: %+v", f)
	}
	s.write("f", "text")
	if out, code := s.pailfs("umount", s.point); code != 0 {
		t.Errorf("umount: exit code %d, printed %q", code, out)
	}
}

func TestDoctorCommand(t *testing.T) {
	s := newSite(t)
	out, code := s.pailfs("doctor", "--json", "file://"+s.bucket, s.point)
	var found []finding
	if err := json.NewDecoder(strings.NewReader(out)).Decode(&found); err != nil {
		t.Fatalf("exit code %d, %v: %s", code, err, out)
	}
	got := results(found)
	for _, check := range []string{"kernel", "/dev/fuse", "open files", "state directory", "connect", "put", "get", "delete", "conditional writes", "clock"} {
		if got[check] != good {
			t.Errorf("%s is %q", check, got[check])
		}
	}
	if got["mount point"] != warn || code != 0 {
		t.Errorf("exit code %d, mount point %q", code, got["mount point"])
	}
	out, code = s.pailfs("doctor", "--connect-timeout=2s", "s3://b?path-style=true&endpoint=http://"+closedPort(t))
	if code != exitFailed || !strings.Contains(out, "FAIL  connect") || !strings.Contains(out, "the endpoint does not answer") {
		t.Errorf("exit code %d: %s", code, out)
	}
	if out, code := s.pailfs("doctor"); !strings.Contains(out, "ok    kernel") {
		t.Errorf("exit code %d: %s", code, out)
	}
	if left, err := filepath.Glob(filepath.Join(s.bucket, ".pailfs", "doctor*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
