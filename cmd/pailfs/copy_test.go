package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pailfs/pailfs/objstore"
)

func TestLocate(t *testing.T) {
	dir, store := t.TempDir(), t.TempDir()
	if err := os.MkdirAll(filepath.Join(store, privateDir), 0o700); err != nil {
		t.Fatal(err)
	}
	for raw, want := range map[string]location{
		"s3://b":                      {dir: "s3://b", key: "", rest: "", plain: false},
		"s3://b/":                     {dir: "s3://b", key: "", rest: "", plain: false},
		"s3://b/k?region=r":           {dir: "s3://b", key: "k", rest: "region=r", plain: false},
		"s3://b/p/q/k":                {dir: "s3://b/p/q", key: "k", rest: "", plain: false},
		"s3://b/p/q/?endpoint=http:h": {dir: "s3://b/p/q", key: "", rest: "endpoint=http:h", plain: false},
		dir:                           {dir: "file://" + dir, key: "", rest: "", plain: true},
		dir + "/f":                    {dir: "file://" + dir, key: "f", rest: "", plain: true},
		"file://" + dir:               {dir: "file://" + dir, key: "", rest: "", plain: false},
		store + "/d/f":                {dir: "file://" + store, key: "d/f", rest: "", plain: false},
		store + "/d/":                 {dir: "file://" + store, key: "d/", rest: "", plain: false},
		"/":                           {dir: "file:///", key: "", rest: "", plain: true},
	} {
		if got, err := locate(raw); err != nil || got.dir != want.dir || got.key != want.key || got.rest != want.rest || got.plain != want.plain {
			t.Errorf("locate(%q) = %+v, %v, want %+v", raw, got, err, want)
		}
	}
	if l, _ := locate("s3://b/p/k?sas=S3KR1T"); strings.Contains(l.String(), "S3KR1T") {
		t.Errorf("a secret shows: %s", l)
	}
}

func TestCommonDirectory(t *testing.T) {
	a, _ := locate("s3://b/x/y/k")
	for raw, want := range map[string][3]string{
		"s3://b/x/z/k":  {"s3://b/x", "y/", "z/"},
		"s3://b/x/y/q/": {"s3://b/x/y", "", "q/"},
		"s3://b/k":      {"s3://b", "x/y/", ""},
	} {
		b, _ := locate(raw)
		if both, pa, pb := common(a, b); !a.sameStore(b) || both.dir != want[0] || pa != want[1] || pb != want[2] {
			t.Errorf("%s: %q %q %q", raw, both.dir, pa, pb)
		}
	}
	for _, raw := range []string{"s3://c/x", "gs://b/x", "s3://b/x?region=r"} {
		if b, _ := locate(raw); a.sameStore(b) {
			t.Errorf("%s is the same store", raw)
		}
	}
}

// tree writes files and returns their directory.
func tree(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// files are those below a directory that have the content tree gave them.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			t.Fatal(err)
		}
		rel, _ := filepath.Rel(dir, path)
		if text, err := os.ReadFile(path); err == nil && strings.HasSuffix(string(text), filepath.Base(rel)) {
			out = append(out, rel)
		} else if err == nil || d.Name() == privateDir {
			t.Errorf("%s should not be there, or holds %q", rel, text)
		}
		return nil
	})
	return out
}

func TestCommandsWithoutAMount(t *testing.T) {
	s := &site{t: t, run: t.TempDir(), state: t.TempDir()}
	src := tree(t, "a", "d/b", "d/e/c")
	ok := func(args ...string) string {
		t.Helper()
		out, code := s.pailfs(args...)
		if code != 0 {
			t.Errorf("%v: exit code %d: %s", args, code, out)
		}
		return out
	}
	for _, c := range []struct {
		args []string
		want []string // below the destination
	}{
		{[]string{src + "/a", "DST/"}, []string{"a"}},
		{[]string{src + "/a", src + "/d/b", "DST/"}, []string{"a", "b"}},
		{[]string{"-r", src + "/d", "DST/"}, []string{"d/b", "d/e/c"}},
		{[]string{"-r", src + "/d/", "DST/"}, []string{"b", "e/c"}},
		{[]string{"-r", src + "/", "DST/x/"}, []string{"x/a", "x/d/b", "x/d/e/c"}},
	} {
		dst := t.TempDir()
		var args []string
		for _, a := range c.args {
			args = append(args, strings.Replace(a, "DST", dst, 1))
		}
		ok(append([]string{"cp"}, args...)...)
		if got := files(t, dst); !slices.Equal(got, c.want) {
			t.Errorf("cp %v: %q, want %q", c.args, got, c.want)
		}
	}
	if out := ok("cp", "-ru", src+"/", src+"/"); !strings.HasPrefix(out, "0 copied, 3 there already") {
		t.Errorf("cp --update: %q", out)
	}
	if out, code := s.pailfs("cp", "-n", src+"/a", src+"/d/b"); code == 0 || !strings.Contains(out, objstore.ErrCond.Error()) {
		t.Errorf("cp -n onto an object: exit code %d: %s", code, out)
	}
	if out := ok("ls", src); out != "a\nd/\n" {
		t.Errorf("ls: %q", out)
	}
	if out := ok("ls", "-r", "file://"+src+"/d"); out != "b\ne/c\n" {
		t.Errorf("ls -r: %q", out)
	}
	if out := ok("ls", "-l", src+"/a"); !strings.HasPrefix(out, strings.Repeat(" ", 14)+"1  20") || !strings.HasSuffix(out, " a\n") {
		t.Errorf("ls -l: %q", out)
	}
	if out := ok("ls", "--json", src+"/a"); !strings.Contains(out, `"key":"a","size":1,"modified":"20`) {
		t.Errorf("ls --json: %q", out)
	}
	if out := ok("du", "-b", src); !strings.HasPrefix(out, "           8          2 objects  d/\n           9          3 objects  ") {
		t.Errorf("du: %q", out)
	}
	for _, args := range [][]string{
		{"cp", src + "/d", t.TempDir() + "/"}, {"cp", "-r", src + "/none", t.TempDir() + "/"}, {"ls", src + "/none"}, {"rm", src + "/none", "-r"},
		{"rm", src}, {"rm", "-r", "s3://bucket"}, {"cp", src}, {"ls"}, {"cp", "a", "b", src + "/a"},
	} {
		out, code := s.pailfs(args...)
		checkLine(t, strings.Join(args, " "), out, "")
		if code == 0 {
			t.Errorf("%v: exit code 0", args)
		}
	}
	if out := ok("rm", "-rn", src+"/d"); out != "file://"+src+"/d/b\nfile://"+src+"/d/e/c\n" || len(files(t, src)) != 3 {
		t.Errorf("rm --dry-run: %q", out)
	}
	ok("rm", "-r", src+"/d")
	ok("rm", src+"/a")
	if got := files(t, src); len(got) > 0 {
		t.Errorf("left: %q", got)
	}
}
