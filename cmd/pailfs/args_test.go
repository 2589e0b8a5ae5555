package main

import (
	"slices"
	"strings"
	"testing"
)

func TestArguments(t *testing.T) {
	tests := []struct {
		argv string
		want string
		done bool
	}{
		{"pailfs mount s3://b /m", "mount s3://b /m", false},
		{"pailfs umount /m", "umount /m", false},
		{"pailfs s3://b /m -o rw,dev,suid", "mount s3://b /m -o rw,dev,suid", false},
		{"/sbin/mount.pailfs s3://b /m -o rw,_netdev", "mount -o rw,_netdev -- s3://b /m", false},
		{"/sbin/mount.fuse.pailfs s3://b /m -sv -o rw -t fuse.pailfs", "mount -o rw -- s3://b /m", false},
		{"/sbin/mount.fuse.pailfs s3://b /m -nvo ro -N /proc/1/ns/mnt", "mount -o ro -- s3://b /m", false},
		{"/sbin/mount.pailfs s3://b /m -f", "mount -- s3://b /m", true},
		{"/sbin/umount.fuse.pailfs /m", "umount -- /m", false},
		{"/sbin/umount.pailfs /m -l -v", "umount --lazy -- /m", false},
		{"/sbin/umount.pailfs -nf /m", "umount --lazy -- /m", false},
	}
	for _, tt := range tests {
		got, done, err := arguments(strings.Fields(tt.argv))
		if err != nil || done != tt.done || !slices.Equal(got, strings.Fields(tt.want)) {
			t.Errorf("%s: got %q, %v, %v", tt.argv, got, done, err)
		}
	}
	for _, argv := range []string{"mount.pailfs s3://b", "mount.pailfs s3://b /m -o", "umount.pailfs", "umount.pailfs a b"} {
		if got, _, err := arguments(strings.Fields(argv)); err == nil {
			t.Errorf("%s: got %q, want an error", argv, got)
		}
	}
}

// A mistake on the command line is one line that names it, and exit code 2.
func TestUsageMistakes(t *testing.T) {
	tests := []struct{ args, want string }{
		{"frob", `unknown command "frob"`},
		{"mout", "did you mean mount"},
		{"mount", "needs a source and a mount point"},
		{"mount s3://b", "needs a source and a mount point"},
		{"mount bucket /m", "write it as s3://bucket"},
		{"mount /data /m", "file:///data"},
		{"mount --memroy=1G s3://b /m", "did you mean memory?"},
		{"mount --memory=lots s3://b /m", "option memory=lots: must be a size"},
		{"mount -o memroy=1G s3://b /m", "did you mean memory?"},
		{"mount -o memory=1K s3://b /m", "must be at least"},
		{"umount", "needs a mount point"},
		{"umount --frob /m", "unknown flag: --frob"},
	}
	for _, tt := range tests {
		var out strings.Builder
		code := run(append([]string{"pailfs"}, strings.Fields(tt.args)...), &out)
		checkLine(t, tt.args, out.String(), tt.want)
		if code != exitUsage {
			t.Errorf("%s: exit code %d, want %d", tt.args, code, exitUsage)
		}
	}
}

func checkLine(t *testing.T, what, out, want string) {
	t.Helper()
	if !strings.HasPrefix(out, "pailfs: ") || strings.Count(out, "\n") != 1 || !strings.Contains(out, want) {
		t.Errorf("%s: printed %q, want one line with %q", what, out, want)
	}
}
