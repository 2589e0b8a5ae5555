package integration

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pailfs/pailfs/objstore"
)

// TestVerify: pailfs verify reads objects of a mount and of other programs, by URL
// and through a mount, and finds what does not fit a list.
func TestVerify(t *testing.T) {
	onTargets(t, func(t *testing.T, p *place) {
		m := p.mount(t, "--attr-ttl=0")
		want := ""
		for key, b := range map[string][]byte{"dir/large": noise(1, 2*partSize+5), "dir/small": noise(2, 1000)} {
			check(t, os.MkdirAll(filepath.Join(m.dir, "dir"), 0o755))
			check(t, os.WriteFile(filepath.Join(m.dir, key), b, 0o644))
			want += fmt.Sprintf("%x  %s\n", sha256.Sum256(b), strings.TrimPrefix(key, "dir/"))
		}
		theirs := noise(3, 5000)
		_, err := p.store(t).Put(t.Context(), "dir/theirs", section(theirs), objstore.PutOptions{})
		check(t, err)
		want += fmt.Sprintf("%x  theirs\n", sha256.Sum256(theirs))
		base, query, _ := strings.Cut(p.source, "?")
		url := base + "/dir/"
		if query != "" {
			url += "?" + query
		}
		list := filepath.Join(tempDir(t), "list")
		check(t, os.WriteFile(list, []byte(want), 0o644))
		for _, at := range []string{url, filepath.Join(m.dir, "dir")} {
			out, err := p.pailfs("verify", "--deep", "--check", list, at)
			if err != nil || strings.Count(out, "\n") != 3 {
				t.Errorf("%s: %v\n%s", at, err, out)
			}
			for line := range strings.Lines(want) {
				if !strings.Contains(out, line) {
					t.Errorf("%s: no line %q in\n%s", at, line, out)
				}
			}
		}
		_, err = p.store(t).Put(t.Context(), "dir/theirs", section(noise(4, 5000)), objstore.PutOptions{})
		check(t, err)
		if out, err := p.pailfs("verify", "--deep", "--check", list, url); err == nil || !strings.Contains(out, "theirs: SHA-256 is") {
			t.Errorf("a changed object: %v\n%s", err, out)
		}
		m.umount(t)
		p.leftovers(t)
	}, mountTargets...)
}

// TestVerifyNoted: with --sha256=all the sums of what a mount has written are known
// without reading, through every change of names and attributes, and none is wrong.
func TestVerifyNoted(t *testing.T) {
	need(t, "getfattr")
	onTargets(t, func(t *testing.T, p *place) {
		m := p.mount(t, "--attr-ttl=0", "--sha256=all")
		sh := shell{dir: m.dir}
		want := map[string][]byte{"large": noise(1, 3*partSize+5), "small": noise(2, 1000), "moved": noise(3, 2*partSize+7), "empty": nil}
		for name, b := range want {
			check(t, os.WriteFile(filepath.Join(m.dir, name), b, 0o644))
		}
		sh.run(t, `chmod 600 large small; touch -d 2020-01-01 small moved; mv moved "a b"; cp small copy; mkdir d; ln -s small link`)
		want["a b"], want["copy"], want["link"] = want["moved"], want["small"], []byte("small")
		delete(want, "moved")
		theirs := noise(4, 5000)
		known := func(args ...string) map[string]string {
			t.Helper()
			out, err := p.pailfs(append([]string{"verify"}, args...)...)
			sums := map[string]string{}
			for line := range strings.Lines(out) {
				if sum, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  "); ok && len(sum) == 64 {
					sums[name] = sum
				}
			}
			if (err == nil) != (len(sums) == len(want)) {
				t.Errorf("%v: %v\n%s", args, err, out)
			}
			for name, sum := range sums {
				if b, ok := want[name]; !ok || sum != fmt.Sprintf("%x", sha256.Sum256(b)) {
					t.Errorf("%v: %s of %s is wrong", args, sum, name)
				}
			}
			return sums
		}
		if sums := known(p.source); len(sums) != len(want) {
			t.Errorf("known are %v of %d", sums, len(want))
		}
		list := filepath.Join(tempDir(t), "list")
		check(t, os.WriteFile(list, []byte(lines(known(p.source))), 0o644))
		sh.run(t, `grep -v "  link$" `+list+` | sha256sum --strict -c --quiet`)
		if xattr := sh.run(t, `getfattr --only-values -n user.pailfs.sha256 large`); xattr != fmt.Sprintf("%x", sha256.Sum256(want["large"])) {
			t.Errorf("user.pailfs.sha256 is %s", xattr)
		}
		if sums := known("--deep", p.source); len(sums) != len(want) {
			t.Errorf("read are %v", sums)
		}
		// Changes in the middle and at the end leave nothing behind that is wrong.
		sh.run(t, `printf changed | dd of=large bs=1 seek=9000000 conv=notrunc status=none; printf more >> small; truncate -s 5000000 "a b"`)
		copy(want["large"][9000000:], "changed")
		want["small"], want["a b"] = append(want["small"][:1000:1000], "more"...), want["a b"][:5000000]
		if sums := known(p.source); sums["small"] == "" || sums["a b"] == "" {
			t.Errorf("known are %v", sums)
		}
		known("--deep", p.source)
		// Rot that keeps the metadata.
		s := p.store(t)
		o, err := s.Stat(t.Context(), "copy")
		check(t, err)
		_, err = s.Put(t.Context(), "copy", section(noise(5, 1000)), objstore.PutOptions{Metadata: o.Metadata})
		check(t, err)
		if out, err := p.pailfs("verify", "--deep", p.source); err == nil || !strings.Contains(out, "copy: SHA-256 of what was read is") {
			t.Errorf("an object that was changed below its metadata: %v\n%s", err, out)
		}
		_, err = s.Put(t.Context(), "copy", section(theirs), objstore.PutOptions{})
		check(t, err)
		want["copy"] = theirs
		known("--deep", p.source)
		m.umount(t)
		p.leftovers(t)
	}, everyMount...)
}

// lines are sums as sha256sum writes them.
func lines(sums map[string]string) string {
	text := ""
	for name, sum := range sums {
		text += sum + "  " + name + "\n"
	}
	return text
}
