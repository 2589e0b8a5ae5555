package mountopts

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func writeConfig(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pailfs.yaml")
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadConfig(t *testing.T) {
	path := writeConfig(t, `# for all mounts
memory: 1G
timeout: 30
umask: 027
/mnt/a:
  source: s3://a/p
  allow_other: true
  umask: 022
  options: ro,_netdev
/mnt/b/:
  source: s3://b
  memory: 2G
`, 0o644)
	o := New()
	source, err := o.LoadConfig(path, "/mnt/a/")
	if err != nil || source != "s3://a/p" || o.Memory != 1<<30 || o.Timeout != 30*time.Second || !o.AllowOther || o.Umask != 0o022 || !o.ReadOnly || !o.network {
		t.Errorf("%q, %v, %v", source, err, o)
	}
	o = New()
	if source, err := o.LoadConfig(path, "/mnt/b"); err != nil || source != "s3://b" || o.Memory != 2<<30 || o.AllowOther || o.Umask != 0o027 {
		t.Errorf("%q, %v, %v", source, err, o)
	}
	o = New()
	if source, err := o.LoadConfig(writeConfig(t, "memory: 1G\n", 0o644), "/mnt/c"); err != nil || source != "" || o.Memory != 1<<30 {
		t.Errorf("without sections: %q, %v", source, err)
	}
}

func TestLoadConfigMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"memroy: 1G":                     "did you mean memory?",
		"/mnt:\n  memroy: 1G":            "/mnt: option memroy: unknown; did you mean memory?",
		"memory: lots":                   "must be a size",
		"memory: [1]":                    "is neither an option nor a mount point",
		"mnt: {memory: 1G}":              "mnt is neither",
		"/other: {source: s3://b}":       "no section /mnt",
		"/mnt: {config: x}":              "config: unknown",
		"/mnt: {uid: {a: b}}":            "needs one value",
		"a: 1\na: 2":                     "already defined",
		"secret-access-key: S3KR1T":      "chmod 600",
		"/mnt: {source: 's3://b?sas=x'}": "chmod 600",
		"[":                              "did not find",
	} {
		_, err := New().LoadConfig(writeConfig(t, text, 0o644), "/mnt")
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "S3KR1T") {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := New().LoadConfig("/no/such/file", "/mnt"); err == nil || !strings.Contains(err.Error(), "/no/such/file") {
		t.Errorf("a missing file: %v", err)
	}
	o := New()
	if _, err := o.LoadConfig(writeConfig(t, "secret-access-key: S3KR1T", 0o600), "/mnt"); err != nil || len(o.Secrets()) != 1 {
		t.Errorf("a private file: %v, %v", err, o.Secrets())
	}
}

// Every option is under a heading of help, and every heading has some.
func TestGroups(t *testing.T) {
	o := New()
	all := o.Groups()
	if len(all) != len(groups) {
		t.Errorf("%d headings of %d", len(all), len(groups))
	}
	for _, r := range o.rows {
		found := 0
		for _, g := range all {
			if g.Flags.Lookup(r.name) != nil {
				found++
			}
		}
		if found != 1 {
			t.Errorf("%s is under %d headings", r.name, found)
		}
	}
}
