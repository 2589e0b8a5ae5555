package integration

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// output runs a program, which must succeed, and returns what it said.
func output(t testing.TB, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	return string(out)
}

// makeTarget runs make with the binary under test, which is not built again.
func makeTarget(t testing.TB, args ...string) {
	t.Helper()
	bin, err := binary()
	check(t, err)
	output(t, exec.Command("make", append([]string{"--no-print-directory", "-C", "..", "BINARY=" + bin}, args...)...))
}

// filesBelow are the names of all that is no directory.
func filesBelow(t testing.TB, root string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(root, path)
			out = append(out, rel)
		}
		return err
	})
	check(t, err)
	return out
}

// TestInstall: what `make install` puts in place is right for the programs that
// use it, and `make uninstall` takes all of it away.
func TestInstall(t *testing.T) {
	need(t, "systemd-analyze", "man", "bash")
	t.Parallel()
	root := tempDir(t)
	at := func(path string) string { return filepath.Join(root, path) }
	makeTarget(t, "install-files", "PREFIX="+at("usr"), "SBINDIR="+at("sbin"))

	verify := exec.Command("systemd-analyze", "verify", "--man=no", "pailfs@mnt-backups.service")
	verify.Env = append(os.Environ(), "SYSTEMD_UNIT_PATH="+at("usr/lib/systemd/system")+":")
	if out := output(t, verify); out != "" {
		t.Errorf("systemd-analyze verify: %s", out)
	}
	pages, err := filepath.Glob(at("usr/share/man/man1/*.1"))
	check(t, err)
	if len(pages) < 8 {
		t.Errorf("%d manual pages", len(pages))
	}
	for _, page := range pages {
		man := exec.Command("man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", page)
		man.Env = append(os.Environ(), "MANWIDTH=80", "LC_ALL=C.UTF-8")
		var stderr strings.Builder
		man.Stderr = &stderr
		if text, err := man.Output(); err != nil || stderr.String() != "" || len(text) < 500 {
			t.Errorf("man %s: %v: %s", filepath.Base(page), err, stderr.String())
		}
	}
	// The completion asks the binary, which must be in PATH.
	complete := exec.Command("bash", "-c", `source "$1"; COMP_WORDS=(pailfs sta); COMP_CWORD=1; COMP_LINE="pailfs sta"; COMP_POINT=10
		_get_comp_words_by_ref() { cur=sta; prev=pailfs; words=("${COMP_WORDS[@]}"); cword=1; }
		compopt() { :; }
		__start_pailfs; echo "${COMPREPLY[*]}"`, "-", at("usr/share/bash-completion/completions/pailfs"))
	complete.Env = append(os.Environ(), "PATH="+at("usr/bin")+":"+os.Getenv("PATH"))
	if out := output(t, complete); !strings.Contains(out, "status") {
		t.Errorf("completed %q", out)
	}
	makeTarget(t, "uninstall", "PREFIX="+at("usr"), "SBINDIR="+at("sbin"))
	if left := filesBelow(t, root); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// installed is a Debian package of this tree in a root of its own.
func installed(t testing.TB) (root string, dpkg func(args ...string)) {
	t.Helper()
	need(t, "dpkg", "dpkg-deb")
	packages := tempDir(t)
	bin, err := binary()
	check(t, err)
	deb := exec.Command("../packaging/deb", "1.2.3", packages)
	deb.Env = append(os.Environ(), "BINARY="+bin, "MAKEFLAGS=-e") // -e: the environment wins
	output(t, deb)
	found, err := filepath.Glob(filepath.Join(packages, "pailfs_*.deb"))
	check(t, err)
	if len(found) != 1 {
		t.Fatalf("make deb made %q", found)
	}
	root = tempDir(t)
	for _, dir := range []string{"info", "updates"} {
		check(t, os.MkdirAll(filepath.Join(root, "var/lib/dpkg", dir), 0o755))
	}
	check(t, os.WriteFile(filepath.Join(root, "var/lib/dpkg/status"), nil, 0o644))
	dpkg = func(args ...string) {
		t.Helper()
		output(t, exec.Command("dpkg", append([]string{"--root=" + root, "--force-script-chrootless,depends,not-root"}, args...)...))
	}
	dpkg("--install", found[0])
	return root, dpkg
}

// TestAdministrator: install the package, one line in fstab, mount, back up,
// restart, look, unmount, remove. It runs in a mount namespace in which the
// package is installed.
func TestAdministrator(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("only root installs packages")
		}
		t.Skip("only root installs packages")
	}
	need(t, "unshare", "findmnt", "tar")
	root, dpkg := installed(t)
	t.Run("use", func(t *testing.T) {
		onTargets(t, func(t *testing.T, p *place) { administrate(t, p, root) }, mountTargets...)
	})

	dpkg("--remove", "pailfs")
	dpkg("--purge", "pailfs")
	left := slices.DeleteFunc(filesBelow(t, root), func(name string) bool {
		return strings.HasPrefix(name, "var/lib/dpkg/") || strings.HasPrefix(name, "var/log/")
	})
	if len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func administrate(t *testing.T, p *place, root string) {
	m := p.prepare(t)
	t.Cleanup(func() {
		for _, pid := range processesNaming(m.dir) {
			unix.Kill(pid, unix.SIGKILL)
		}
	})
	source := strings.ReplaceAll(p.source, " ", "\\040")
	scratch := tempDir(t)
	check(t, os.WriteFile(filepath.Join(scratch, "fstab"), []byte(source+" "+m.dir+
		" pailfs _netdev,nofail,allow_other,noexec,x-systemd.automount,memory=64M,run-dir="+filepath.Join(scratch, "run")+",state-dir="+p.state+" 0 0\n"), 0o644))
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "unshare", "--mount", "bash", "-euxc", `
			mount -t overlay overlay -o lowerdir="$ROOT/usr/bin:/usr/bin" /usr/bin
			mount -t overlay overlay -o lowerdir="$ROOT/usr/sbin:/usr/sbin" /usr/sbin
			mount --bind "$SCRATCH/fstab" /etc/fstab
			pailfs doctor "$SOURCE" "$MNT"
			mount "$MNT"
			test "$(findmnt -no FSTYPE "$MNT")" = fuse.pailfs
			findmnt -no OPTIONS "$MNT" | grep -q noexec
			tar -cf "$MNT/backup.tar" -C "$SRC" .
			pailfs status --wait "$MNT/backup.tar"
			pailfs status "$MNT"
			df "$MNT" > /dev/null
			umount "$MNT"
			! mountpoint -q "$MNT"
			mount -a
			mount -o remount,ro "$MNT"
			! touch "$MNT/no" 2>/dev/null
			mount -o remount,rw "$MNT"
			mkdir "$SCRATCH/restored"
			tar -xf "$MNT/backup.tar" -C "$SCRATCH/restored"
			diff -r --no-dereference "$SRC" "$SCRATCH/restored"
			pid=$(pailfs status --json "$MNT" | sed -n 's/.*"pid": \([0-9]*\),/\1/p')
			kill -KILL "$pid"
			while ls "$MNT" 2>/dev/null; do sleep 0.05; done
				mount "$MNT"
			cmp "$MNT/backup.tar" "$MNT/backup.tar"
			umount "$MNT"`)
	cmd.Env = append([]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "ROOT=" + root, "SCRATCH=" + scratch, "SOURCE=" + p.source, "MNT=" + m.dir,
		"SRC=" + sourceTree(), "PAILFS_RUN_DIR=" + filepath.Join(scratch, "run"), "AWS_EC2_METADATA_DISABLED=true"}, p.env...)
	out, err := os.Create(filepath.Join(scratch, "out")) // no pipe: a server process would keep it open
	check(t, err)
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(out.Name())
		t.Fatalf("%v\n%s", err, text)
	}
	p.leftovers(t)
}
