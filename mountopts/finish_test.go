package mountopts

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestFinish(t *testing.T) {
	tests := []struct {
		source, list string
		want         string // part of the error, "" for none
	}{
		{"s3://b/p", "", ""},
		{"file:///d", "", ""},
		{"", "", "no source given"},
		{"/data", "", "for a directory write file:///data"},
		{"bucket", "", "write it as s3://bucket"},
		{"s3://b", "memory=1M", "memory=1MiB: must be at least 48MiB"},
		{"s3://b", "parallel=0", "parallel=0"},
		{"s3://b", "size=1", "at least 1MiB"},
		{"s3://b", "file-mode=4755", "at most 0777"},
		{"s3://b", "timeout=0", "more than nothing"},
		{"s3://b?region=a", "region=b", "the source URL says a"},
		{"s3://b?region=a", "region=a", ""},
		{"s3://%zz", "", "is not a URL"},
	}
	for _, tt := range tests {
		o := New()
		o.Source, o.Mountpoint, o.StateDir = tt.source, "/m", "/s"
		if err := o.Parse(tt.list); err != nil {
			t.Fatal(err)
		}
		err := o.Finish()
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("Finish of %q -o %q = %v, want %q", tt.source, tt.list, err, tt.want)
		}
	}
}

func TestModes(t *testing.T) {
	tests := []struct {
		list      string
		file, dir uint32
	}{
		{"", 0o644, 0o755},
		{"umask=077", 0o600, 0o700},
		{"umask=0", 0o666, 0o777},
		{"file-mode=0664", 0o664, 0o755},
		{"umask=077,dir-mode=0750", 0o600, 0o750},
	}
	for _, tt := range tests {
		o := New()
		o.Source, o.Mountpoint, o.StateDir = "s3://b", "m", "s"
		if err := o.Parse(tt.list); err != nil {
			t.Fatal(err)
		}
		if err := o.Finish(); err != nil {
			t.Fatal(err)
		}
		if o.FileMode != tt.file || o.DirMode != tt.dir {
			t.Errorf("%q: file %#o dir %#o, want %#o %#o", tt.list, o.FileMode, o.DirMode, tt.file, tt.dir)
		}
		if !filepath.IsAbs(o.Mountpoint) || !filepath.IsAbs(o.StateDir) {
			t.Errorf("mount point %q, state directory %q are not absolute", o.Mountpoint, o.StateDir)
		}
	}
}

func TestURL(t *testing.T) {
	o := New()
	o.Source = "s3://b/p?region=r"
	if got := o.URL(); got != "s3://b/p?region=r" {
		t.Errorf("got %q", got)
	}
	o.Endpoint, o.PathStyle = "http://h:1", "true"
	if got, want := o.URL(), "s3://b/p?endpoint=http%3A%2F%2Fh%3A1&path-style=true&region=r"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRedact(t *testing.T) {
	tests := []struct{ in, want string }{
		{"s3://b/p", "s3://b/p"},
		{"plain", "plain"},
		{"s3://b?region=r&endpoint=http://h:1", "s3://b?region=r&endpoint=http://h:1"},
		{"s3://key:sekret@b/p", "s3://xxxxx@b/p"},
		{"s3://b?secret=sekret&region=r", "s3://b?secret=xxxxx&region=r"},
		{"s3://b?sig=sekret", "s3://b?sig=xxxxx"},
		{"s3://b?SEKRET", "s3://b?xxxxx"},
		{"s3://b?endpoint=https%3A%2F%2Fu%3Asekret%40h%2F", "s3://b?endpoint=https://xxxxx@h/"},
		{"s3://b?endpoint=https://h/?sig=sekret", "s3://b?endpoint=https://h/?sig=xxxxx"},
		{"s3://a:sekret@%zz", "xxxxx"},
		{"s3://b#sekret", "s3://b"},
	}
	for _, tt := range tests {
		if got := Redact(tt.in); got != tt.want {
			t.Errorf("Redact(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestFsName(t *testing.T) {
	o := New()
	o.Source = "s3://key:sekret@b/p,q?sig=sekret#x"
	if got, want := o.FsName(), "s3://b/p%2Cq"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A secret never appears in what is printed, wherever a URL may carry it.
func TestSecretsStayHidden(t *testing.T) {
	const secret = "S3KR1T"
	places := []string{
		"s3://id:" + secret + "@b/p", "s3://" + secret + "@b", "s3://b?secret-key=" + secret, "s3://b?region=r&sig=" + secret,
		"s3://b?endpoint=http://u:" + secret + "@h", "s3://b?endpoint=http%3A%2F%2Fh%2F%3Ftoken%3D" + secret, "s3://b?a=b;c=" + secret,
	}
	rapid.Check(t, func(t *rapid.T) {
		o := New()
		o.Mountpoint, o.StateDir = "/m", "/s"
		o.Source = rapid.SampledFrom(places).Draw(t, "source")
		if rapid.Bool().Draw(t, "endpoint") {
			o.Endpoint = "https://u:" + secret + "@h"
		}
		err := o.Finish()
		for _, text := range []string{fmt.Sprint(o), fmt.Sprintf("%v %+v %#v %s", o, *o, *o, o), o.FsName(), fmt.Sprint(err)} {
			if strings.Contains(text, secret) {
				t.Fatalf("shown: %s", text)
			}
		}
	})
}

func TestScrub(t *testing.T) {
	o := New()
	o.Source = "s3://id:s3kr%2Ft@b/p?token=t0ken&endpoint=http%3A%2F%2Fu%3Ainner%40h"
	for _, text := range []string{
		"open " + o.Source, "open " + o.URL(), "password s3kr/t or s3kr%2Ft", "token t0ken", "dial http://u:inner@h",
	} {
		got := o.Scrub(text)
		for _, secret := range []string{"s3kr", "t0ken", "inner"} {
			if strings.Contains(got, secret) {
				t.Errorf("Scrub(%q) = %q", text, got)
			}
		}
	}
	if got := o.Scrub("no secret here"); got != "no secret here" {
		t.Errorf("got %q", got)
	}
}

// An fstab entry of a network file system waits for the network, unless it says
// for how long.
func TestMountTimeout(t *testing.T) {
	for list, want := range map[string]time.Duration{
		"rw": 0, "_netdev": time.Minute, "_netdev,mount-timeout=5": 5 * time.Second, "mount-timeout=0,_netdev": 0, "mount_timeout=2m": 2 * time.Minute,
	} {
		o := New()
		o.Source, o.Mountpoint = "s3://b", "/m"
		if err := o.Parse(list); err != nil {
			t.Fatal(err)
		}
		if err := o.Finish(); err != nil || o.MountTimeout != want {
			t.Errorf("%s: %s, %v, want %s", list, o.MountTimeout, err, want)
		}
	}
}

// What fstab(5), mount(8) and systemd.mount(5) name is taken, and what nobody
// names is refused by name.
func TestEveryGenericOption(t *testing.T) {
	all := "defaults,async,sync,dirsync,atime,noatime,diratime,nodiratime,relatime,norelatime,strictatime,nostrictatime,lazytime,nolazytime," +
		"auto,noauto,dev,nodev,exec,noexec,suid,nosuid,user,nouser,users,owner,group,iversion,noiversion,mand,nomand,_netdev,nofail," +
		"silent,loud,rw,ro,nosymfollow,symfollow,comment=x,helper=x,uhelper=x,X-mount.mkdir=0755,x-gvfs-show,x-systemd.automount," +
		"x-systemd.requires=network-online.target,x-systemd.device-timeout=10s,x-systemd.mount-timeout=1min,x-systemd.idle-timeout=1min," +
		"context=system_u:object_r:tmp_t,remount"
	for name := range strings.SplitSeq(all, ",") {
		if err := New().Parse(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := New().Parse(all + ",x_systemd"); err == nil || !strings.Contains(err.Error(), "option x_systemd: unknown") {
		t.Errorf("an unknown one: %v", err)
	}
}
