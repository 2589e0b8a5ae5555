package mounts

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	const table = `22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
40 22 0:35 / /mnt/with\040space rw,nosuid - fuse.pailfs s3://b\054c rw,user_id=1000,group_id=7
41 40 0:36 / /mnt/with\040space rw master:1 propagate_from:2 - fuse.pailfs s3://d rw
`
	got, err := parse(strings.NewReader(table))
	want := []Mount{
		{ID: 22, Point: "/", Type: "ext4", Source: "/dev/sda1", Flags: "rw,relatime"},
		{ID: 40, Point: "/mnt/with space", Type: Type, Source: "s3://b,c", Owner: 1000, Flags: "rw,nosuid"},
		{ID: 41, Point: "/mnt/with space", Type: Type, Source: "s3://d", Flags: "rw"},
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
	for _, bad := range []string{"x", "22 1 8:1 / / rw shared:1", "x 1 8:1 / / rw - ext4 /dev/sda1 rw"} {
		if got, err := parse(strings.NewReader(bad)); err == nil {
			t.Errorf("parse(%q) = %+v, want an error", bad, got)
		}
	}
}

func TestAt(t *testing.T) {
	if m, ok, err := At("/proc"); err != nil || !ok || m.Type != "proc" {
		t.Errorf("At(/proc) = %+v, %v, %v", m, ok, err)
	}
	if m, ok, err := At(t.TempDir()); err != nil || ok {
		t.Errorf("At of a plain directory = %+v, %v, %v", m, ok, err)
	}
}

func TestResolve(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(dir, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	for _, path := range []string{".", "link", "link/link/", dir} {
		if got, err := Resolve(path); err != nil || got != dir {
			t.Errorf("Resolve(%q) = %q, %v, want %q", path, got, err, dir)
		}
	}
	if got, err := Resolve("missing"); !os.IsNotExist(err) {
		t.Errorf("Resolve of a missing path = %q, %v", got, err)
	}
}

func TestUsersFindsThisProcess(t *testing.T) {
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "open"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	users := Users(dir)
	if len(users) != 1 || users[0].PID != os.Getpid() || users[0].How != "has "+f.Name()+" open" {
		t.Errorf("got %v", users)
	}
	if users := Users(dir + "x"); len(users) != 0 {
		t.Errorf("a sibling has users: %v", users)
	}
}

func TestPlainDirectoryIsNotDead(t *testing.T) {
	if Dead(t.TempDir(), time.Minute) {
		t.Error("a plain directory is dead")
	}
	if n, err := ClearDead(t.Context(), t.TempDir()); n != 0 || err != nil {
		t.Errorf("ClearDead = %d, %v", n, err)
	}
}
