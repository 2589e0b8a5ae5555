package mountopts

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"pgregory.net/rapid"
)

func TestParse(t *testing.T) {
	tests := []struct {
		list  string
		check func(o *Options) bool
	}{
		{"", func(o *Options) bool { return !o.ReadOnly }},
		{"ro", func(o *Options) bool { return o.ReadOnly }},
		{"ro,rw", func(o *Options) bool { return !o.ReadOnly }},
		{"read-only", func(o *Options) bool { return o.ReadOnly }},
		{"read_only=false", func(o *Options) bool { return !o.ReadOnly }},
		{"allow_other", func(o *Options) bool { return o.AllowOther }},
		{"allow-other,noallow_other", func(o *Options) bool { return !o.AllowOther }},
		{"nowriteback", func(o *Options) bool { return !o.Writeback }},
		{"no-writeback,writeback", func(o *Options) bool { return o.Writeback }},
		{"nonempty", func(o *Options) bool { return o.Nonempty }},
		{"nononempty", func(o *Options) bool { return !o.Nonempty }},
		{"memory=1GiB,read_ahead=8M", func(o *Options) bool { return o.Memory == 1<<30 && o.ReadAhead == 8<<20 }},
		{"timeout=90,attr-ttl=1m30s", func(o *Options) bool { return o.Timeout == 90*time.Second && o.AttrTTL == 90*time.Second }},
		{"uid=0,gid=7", func(o *Options) bool { return o.UID == 0 && o.GID == 7 }},
		{"uid=root", func(o *Options) bool { return o.UID == 0 }},
		{"umask=027", func(o *Options) bool { return o.Umask == 0o27 }},
		{"file_mode=0600,dir-mode=1777", func(o *Options) bool { return o.FileMode == 0o600 && o.DirMode == 0o1777 }},
		{"sha256=all", func(o *Options) bool { return o.SHA256 == "all" }},
		{"commit=async", func(o *Options) bool { return o.Commit == "async" }},
		{"failed-writer=partial", func(o *Options) bool { return o.FailedWriter == "partial" }},
		{"hard-links=copy", func(o *Options) bool { return o.HardLinks == "copy" }},
		{`profile="a,b",parallel=3`, func(o *Options) bool { return o.Profile == "a,b" && o.Parallel == 3 }},
		{`profile=a\,b`, func(o *Options) bool { return o.Profile == "a,b" }},
		{",,ro,", func(o *Options) bool { return o.ReadOnly }},
	}
	for _, tt := range tests {
		o := New()
		if err := o.Parse(tt.list); err != nil {
			t.Errorf("Parse(%q): %v", tt.list, err)
			continue
		}
		if !tt.check(o) {
			t.Errorf("Parse(%q) = %v", tt.list, o)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	tests := []struct{ list, want string }{
		{"memroy=1G", "option memroy: unknown; did you mean memory?"},
		{"allowother", "did you mean allow-other?"},
		{"read", "did you mean read-only?"},
		{"zzzzzzzz", "pailfs mount --help"},
		{"memory", "option memory: needs a value"},
		{"memory=lots", "option memory=lots: must be a size"},
		{"memory=9E", "larger than a size can be"},
		{"timeout=-1s", "must not be negative"},
		{"timeout=soon", "must be a duration"},
		{"uid=no-such-user-here", "must be a number or a name"},
		{"uid=4294967295", "not a valid number"},
		{"umask=9", "must be an octal mode"},
		{"failed-writer=maybe", "must be keep-old or partial or publish"},
		{"writeback=maybe", "must be true or false"},
		{"nomemory", "unknown"},
		{"ro=1", "unknown"},
		{"=x", "has no name"},
		{`profile="a`, "inside a double quote"},
		{"path-style=perhaps", "must be true or false"},
	}
	for _, tt := range tests {
		err := New().Parse(tt.list)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Parse(%q) = %v, want an error with %q", tt.list, err, tt.want)
		}
	}
}

func TestGenericOptions(t *testing.T) {
	tests := []struct {
		list string
		want []string
	}{
		{"_netdev,nofail,noauto,auto,user,users,owner,group,defaults,comment=systemd.automount,user=joe", []string{"nodev", "nosuid"}},
		{"x-systemd.automount,x-systemd.idle-timeout=5min,X-mount.mkdir=0755,x-gvfs-show", []string{"nodev", "nosuid"}},
		{"relatime,noatime,nodiratime,strictatime,lazytime,async,iversion,silent", []string{"nodev", "nosuid"}},
		{"noexec", []string{"nodev", "nosuid", "noexec"}},
		{"noexec,exec", []string{"nodev", "nosuid", "exec"}},
		{"dev,suid", []string{"dev", "suid"}},
		{"dev,nodev", []string{"nosuid", "nodev"}},
		{"sync,dirsync", []string{"nodev", "nosuid", "sync", "dirsync"}},
		{"symfollow,nosymfollow", []string{"nodev", "nosuid", "nosymfollow"}},
		{"noexec,noexec", []string{"nodev", "nosuid", "noexec"}},
		{`context="system_u:object_r:x:s0:c1,c2"`, []string{"nodev", "nosuid", `context="system_u:object_r:x:s0:c1,c2"`}},
	}
	for _, tt := range tests {
		o := New()
		if err := o.Parse(tt.list); err != nil {
			t.Errorf("Parse(%q): %v", tt.list, err)
			continue
		}
		if got := o.kernelOptions(); !slices.Equal(got, tt.want) {
			t.Errorf("kernel options of %q = %q, want %q", tt.list, got, tt.want)
		}
	}
}

// Each option is one exported field and one row, and the three ways to give it
// agree.
func TestEveryOptionIsAFieldAndARow(t *testing.T) {
	o := New()
	notOptions := []string{"Source", "Mountpoint", "KernelOptions"}
	fields := map[uintptr]string{}
	v := reflect.ValueOf(o).Elem()
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.IsExported() && !slices.Contains(notOptions, f.Name) {
			fields[v.Field(i).Addr().Pointer()] = f.Name
		}
	}
	for _, r := range o.rows {
		p := fieldPointer(r.value)
		name, ok := fields[p]
		if !ok {
			t.Errorf("row %s sets no field of its own", r.name)
			continue
		}
		delete(fields, p)
		if want := strings.ToLower(name); want != strings.ReplaceAll(r.name, "-", "") {
			t.Errorf("row %s sets field %s", r.name, name)
		}
	}
	for _, name := range fields {
		t.Errorf("field %s has no row", name)
	}
}

func fieldPointer(v pflag.Value) uintptr {
	switch v := v.(type) {
	case *choiceValue:
		return reflect.ValueOf(v.field).Pointer()
	case *ownerValue:
		return reflect.ValueOf(v.field).Pointer()
	}
	return reflect.ValueOf(v).Pointer()
}

func sample(r row) string {
	switch v := r.value.(type) {
	case *boolValue:
		return "true"
	case *intValue:
		return "7"
	case *sizeValue:
		return "64M"
	case *durationValue:
		return "7s"
	case *scheduleValue:
		return "08:00=2MiB/18:00=off"
	case *octalValue:
		return "0711"
	case *ownerValue:
		return "77"
	case *choiceValue:
		return v.choices[len(v.choices)-1]
	}
	return "word"
}

func TestFlagListAndEnvironmentAgree(t *testing.T) {
	for i, r := range New().rows {
		value := sample(r)
		byFlag, byList, byEnv := New(), New(), New()
		fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
		byFlag.AddFlags(fs)
		if err := fs.Parse([]string{"--" + r.name + "=" + value}); err != nil {
			t.Errorf("--%s: %v", r.name, err)
		}
		if err := byList.Parse(r.name + "=" + value); err != nil {
			t.Errorf("-o %s: %v", r.name, err)
		}
		env := "PAILFS_" + strings.ToUpper(strings.ReplaceAll(r.name, "-", "_")) + "=" + value
		if err := byEnv.LoadEnv([]string{"HOME=/x", env, "PAILFS_BINARY=/bin/x"}); err != nil {
			t.Errorf("%s: %v", env, err)
		}
		want := byFlag.rows[i].value.String()
		if a, b := byList.rows[i].value.String(), byEnv.rows[i].value.String(); a != want || b != want {
			t.Errorf("%s: flag %q, -o %q, environment %q", r.name, want, a, b)
		}
		if byFlag.String() != byList.String() || byFlag.String() != byEnv.String() {
			t.Errorf("%s changes more than itself", r.name)
		}
	}
}

func TestFlagsInOrderWithLists(t *testing.T) {
	o := New()
	if err := o.LoadEnv([]string{"PAILFS_MEMORY=1G", "PAILFS_PARALLEL=2"}); err != nil {
		t.Fatal(err)
	}
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	o.AddFlags(fs)
	err := fs.Parse([]string{"--memory=2G", "s3://b", "-o", "memory=3G,_netdev", "/m", "-o", "allow_other", "--no_such"})
	if err == nil {
		t.Error("an unknown flag was accepted")
	}
	if o.Memory != 3<<30 || o.Parallel != 2 || !o.AllowOther {
		t.Errorf("got %v", o)
	}
	if args := fs.Args(); !slices.Equal(args, []string{"s3://b", "/m"}) {
		t.Errorf("arguments %q", args)
	}
}

func TestEnvironmentNamesTheVariable(t *testing.T) {
	err := New().LoadEnv([]string{"PAILFS_MEMORY=lots"})
	if err == nil || !strings.Contains(err.Error(), "PAILFS_MEMORY") {
		t.Errorf("got %v", err)
	}
}

// Whatever is parsed, an error or not, nothing panics, and what was accepted is
// accepted again from String.
func TestParseAnything(t *testing.T) {
	words := []string{"ro", "memory", "=", ",", "1G", `"`, `\`, "no", "x-y", "profile", "exec", "é", "umask=022", "timeout=3"}
	rapid.Check(t, func(t *rapid.T) {
		o := New()
		o.Source, o.Mountpoint = "s3://b", "/m"
		list := strings.Join(rapid.SliceOf(rapid.SampledFrom(words)).Draw(t, "words"), "")
		if o.Parse(list) != nil || strings.ContainsAny(o.Profile, `,"\?@ =`) {
			return
		}
		_, shown, _ := strings.Cut(o.String(), " -o ")
		again := New()
		again.Source, again.Mountpoint = o.Source, o.Mountpoint
		if err := again.Parse(shown); err != nil {
			t.Fatalf("String of %q is %q: %v", list, shown, err)
		}
		if again.String() != o.String() {
			t.Fatalf("%q\nbecame %q", o, again)
		}
	})
}

func TestSizesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Min(0).Draw(t, "n")
		got, err := ParseSize(FormatSize(n))
		if err != nil || got != n {
			t.Fatalf("%d as %q reads back as %d, %v", n, FormatSize(n), got, err)
		}
	})
}

func TestParseSize(t *testing.T) {
	good := map[string]int64{
		"0": 0, "4096": 4096, "1k": 1024, "1K": 1024, "256M": 256 << 20, "1GiB": 1 << 30, "1gib": 1 << 30, "1Gi": 1 << 30,
		"1GB": 1e9, "5TB": 5e12, "7E": 7 << 60, "10b": 10,
	}
	for s, want := range good {
		if got, err := ParseSize(s); err != nil || got != want {
			t.Errorf("ParseSize(%q) = %d, %v, want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"", "M", "-1", "1.5G", "1X", "1MM", "1 G", "0x10", "9E", "99999999999999999999"} {
		if got, err := ParseSize(s); err == nil {
			t.Errorf("ParseSize(%q) = %d, want an error", s, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"ro,memory=1G", `profile="a,b"`, "x-systemd.automount,_netdev", `\`, "a=b=c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, list string) {
		o := New()
		if err := o.Parse(list); err == nil {
			_ = o.String()
		}
	})
}

func TestDirs(t *testing.T) {
	env := func(m map[string]string) func(string) string { return func(k string) string { return m[k] } }
	tests := []struct {
		uid        int
		env        map[string]string
		run, state string
	}{
		{0, map[string]string{"XDG_RUNTIME_DIR": "/run/user/0", "HOME": "/root"}, "/run/pailfs", "/var/lib/pailfs"},
		{7, map[string]string{"XDG_RUNTIME_DIR": "/run/user/7", "HOME": "/h"}, "/run/user/7/pailfs", "/h/.local/state/pailfs"},
		{7, map[string]string{"XDG_STATE_HOME": "/s"}, os.TempDir() + "/pailfs-7", "/s/pailfs"},
		{7, nil, os.TempDir() + "/pailfs-7", ""},
	}
	for _, tt := range tests {
		if got := DefaultRunDir(tt.uid, env(tt.env)); got != tt.run {
			t.Errorf("run directory of %d with %v = %q, want %q", tt.uid, tt.env, got, tt.run)
		}
		if got := defaultStateDir(tt.uid, env(tt.env)); got != tt.state {
			t.Errorf("state directory of %d with %v = %q, want %q", tt.uid, tt.env, got, tt.state)
		}
	}
}
