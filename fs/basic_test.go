package fs

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pailfs/pailfs/cache"
	"github.com/pailfs/pailfs/fs/keypath"
	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/faultstore"
	"github.com/pailfs/pailfs/objstore/memstore"
)

// counting mounts a store of which the calls are counted.
func counting(t *testing.T, opt Options) (*mounted, *faultstore.Faults) {
	store, faults := faultstore.Wrap(memstore.New(memstore.Options{}))
	opt.Store = store
	m := mountStore(t, opt)
	faults.Reset()
	return m, faults
}

func TestBasics(t *testing.T) {
	m := mountStore(t, Options{})
	m.sh(`echo hello > f; cat f; ls -la; stat f`)
	m.wantObject("f", "hello\n")
	m.sh(`mkdir d; cp f d/g; cmp f d/g; mv d/g d/h; ls d; rm f; rmdir d 2>/dev/null && exit 1 || true`)
	m.wantKeys("d/", "d/h")
	m.sh(`mv d e; cat e/h; [ ! -e d ]; rm -r e; [ -z "$(ls)" ]`)
	m.wantKeys()
}

func TestObjectsOfOthers(t *testing.T) {
	m := mountStore(t, Options{UID: 7, GID: 8, FileMode: 0640, DirMode: 0750})
	for _, key := range []string{"a", "dir/sub/f", "dir/a-b", "dir/a", "dir/a/x", "dir//odd", "dir/../up", "dir/."} {
		m.put(key, key, nil)
	}
	if got, want := m.sh(`ls -A; ls -A dir; stat -c '%a %u %g %F' a dir`),
		"a\ndir\na\na-b\nsub\n640 7 8 regular file\n750 7 8 directory\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := m.sh(`[ -d dir/a ]; cat dir/a/x dir/sub/f`); got != "dir/a/xdir/sub/f" {
		t.Errorf("got %q", got)
	}
	if !strings.Contains(m.log.String(), "cannot be paths") {
		t.Error("nothing is logged of the hidden keys")
	}
}

func TestAttributesAreMetadata(t *testing.T) {
	m := mountStore(t, Options{})
	m.sh(`echo x > f; chmod 640 f; chown 33:34 f; touch -d '2001-02-03 04:05:06.789 UTC' f; ln -s "to no where" l; mkdir -m 2711 d`)
	obj, err := m.store.Stat(t.Context(), "f")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"mode": "33184", "uid": "33", "gid": "34", "mtime": "981173106.789000000"} {
		if obj.Metadata[name] != want {
			t.Errorf("%s = %q, want %q", name, obj.Metadata[name], want)
		}
	}
	other := mountStore(t, Options{Store: m.store})
	if got, want := other.sh(`stat -c '%a %u %g %Y %F' f; readlink l; stat -c '%a %F' d`),
		"640 33 34 981173106 regular file\nto no where\n2711 directory\n"; got != want {
		t.Errorf("another mount shows %q, want %q", got, want)
	}
}

func TestManyFilesCostOneRequestEach(t *testing.T) {
	m, faults := counting(t, Options{AttrTTL: time.Minute})
	m.sh(`mkdir d`)
	faults.Reset()
	m.sh(`cat > /tmp/x.$$ <<'E'
import sys
for i in range(100):
    with open(f"d/f{i}", "wb") as f:
        f.write(b"x" * 10240)
E
python3 /tmp/x.$$; rm /tmp/x.$$`)
	if n := len(faults.Calls()); n > 120 {
		t.Errorf("100 files cost %d requests: %v", n, faults.Calls())
	}
	if n := faults.Count(faultstore.Put, "d/*"); n != 100 {
		t.Errorf("%d puts", n)
	}
}

func TestRedirectionIsOnePut(t *testing.T) {
	m, faults := counting(t, Options{})
	for _, script := range []string{`echo x > f`, `(printf x; echo) > f`, `dd if=/dev/zero of=f bs=4k count=3 2>/dev/null`, `: > f`, `touch g`} {
		faults.Reset()
		m.sh(script)
		if n := faults.Count(faultstore.Put, ""); n != 1 {
			t.Errorf("%s: %d puts", script, n)
		}
	}
}

func TestMidLifeFlushesCommitWholeObjects(t *testing.T) {
	m := mountStore(t, Options{})
	m.sh(`exec 5> f; echo a >&5; bash -c 'echo b >&5'; bash -c 'echo c >&5'`)
	m.wantObject("f", "a\nb\nc\n")
}

func TestListingNeedsNoStat(t *testing.T) {
	m, faults := counting(t, Options{AttrTTL: time.Minute})
	for _, k := range "abcdefghij" {
		m.put("dir/"+string(k), "x", nil)
	}
	m.sh(`ls -l dir`)
	faults.Reset()
	m.sh(`ls -l dir; ls -l dir/a dir/b; [ ! -e dir/nothing ]`)
	if n := len(faults.Calls()); n != 0 {
		t.Errorf("a known directory cost %v", faults.Calls())
	}
}

func TestRemoteChangeIsSeen(t *testing.T) {
	m := mountStore(t, Options{AttrTTL: 10 * time.Millisecond})
	m.put("f", "old", nil)
	m.sh(`[ "$(cat f)" = old ]`)
	m.put("f", "newer", nil)
	m.sh(`sleep 0.05; [ "$(cat f)" = newer ]; [ "$(stat -c %s f)" = 5 ]`)
	if err := m.store.Delete(t.Context(), "f", objstore.Cond{}); err != nil {
		t.Fatal(err)
	}
	m.sh(`sleep 0.05; [ ! -e f ]; [ -z "$(ls)" ]`)
}

func TestLoserKeepsItsBytes(t *testing.T) {
	large := strings.Repeat("old ", 5<<20)
	for name, c := range map[string]struct{ flag, old, ours, kept string }{
		"replace":         {"os.O_TRUNC", "old", "mine", "mine"},
		"append":          {"os.O_APPEND", "old", "oldmine", "oldmine"}, // the kernel has read what the page has
		"append to large": {"os.O_APPEND", large, large + "mine", "mine"},
	} {
		t.Run(name, func(t *testing.T) { loseRace(t, c.flag, c.old, c.ours, c.kept) })
	}
}

// A loser whose parts have left memory cannot keep them: it is told, and the log
// says that they are lost.
func TestLoserOfMoreThanMemory(t *testing.T) {
	little := cache.Open(cache.Options{Memory: cache.BlockSize})
	t.Cleanup(little.Close)
	m := mountStore(t, Options{Memory: 24 << 20, Cache: little})
	m.put("f", "old", nil)
	done := make(chan string, 1)
	go func() {
		out, err := m.try(`python3 -c '
import os
fd = os.open("f", os.O_WRONLY | os.O_TRUNC)
for i in range(48): os.write(fd, bytes([i]) * (1 << 20))
open("` + m.fifo() + `").read()
os.close(fd)' 2>&1`)
		done <- fmt.Sprint(out, err)
	}()
	m.waitFor(func() bool { return strings.Contains(m.sh(`ls -l f`), fmt.Sprintf(" %d ", 48<<20)) })
	m.put("f", "theirs", nil)
	m.release()
	if out := <-done; !strings.Contains(out, "Stale file handle") {
		t.Errorf("the loser of a race was not told: %s", out)
	}
	m.wantObject("f", "theirs")
	if log := m.log.String(); !strings.Contains(log, "theirs stays, what was written here is lost") || strings.Contains(strings.Join(m.keys(), " "), "conflict") {
		t.Errorf("the log does not say that the bytes are lost, with %q:\n%s", m.keys(), log)
	}
}

func loseRace(t *testing.T, flag, old, ours, want string) {
	m := mountStore(t, Options{})
	m.put("f", old, nil)
	script := `python3 -c '
import os
fd = os.open("f", os.O_WRONLY | ` + flag + `)
os.write(fd, b"mine")
open("` + m.fifo() + `").read()
os.fsync(fd)' 2>&1`
	type result struct {
		out string
		err error
	}
	done := make(chan result, 1)
	go func() {
		out, err := m.try(script)
		done <- result{out, err}
	}()
	m.waitFor(func() bool { return strings.Contains(m.sh(`ls -l f`), fmt.Sprintf(" %d ", len(ours))) })
	m.put("f", "theirs", nil)
	m.release()
	if r := <-done; r.err == nil || !strings.Contains(r.out, "Stale file handle") {
		t.Errorf("the loser of a race was not told: %v %s", r.err, r.out)
	}
	m.wantObject("f", "theirs")
	kept := ""
	for _, k := range m.keys() {
		if strings.HasPrefix(k, "f.conflict-") {
			kept = k
		}
	}
	if kept == "" {
		t.Fatalf("no conflict copy: %q", m.keys())
	}
	m.wantObject(kept, want)
	m.waitFor(func() bool { out, _ := m.try(`cat f`); return out == "theirs" })
}

func TestUnlinkedFileStaysReadable(t *testing.T) {
	m := mountStore(t, Options{})
	m.sh(`echo content > f; exec 5< f; rm f; [ ! -e f ]; cat <&5; echo new > f; cat f`)
	m.wantObject("f", "new\n")
	m.waitFor(func() bool { return len(m.keys()) == 1 })
	m.sh(`exec 5<> f; rm f; echo more >&5; cat /proc/self/fd/5 > /dev/null || true`)
	m.waitFor(func() bool { return len(m.keys()) == 0 })
}

func TestFailedWriterKeepsTheOldObject(t *testing.T) {
	m := mountStore(t, Options{})
	m.sh(`echo good > f`)
	m.try(`bash -c 'echo bad; exit 3' > f`)
	m.waitFor(func() bool { _, ok := m.object("f.partial"); return ok })
	m.wantObject("f", "good\n")
	m.wantObject("f.partial", "bad\n")
	m.waitFor(func() bool { out, _ := m.try(`cat f`); return out == "good\n" })
	m.sh(`rm f.partial; (echo a; false; echo b) > f || true`)
	m.try(`bash -c 'echo killed; kill -9 $$' > f`)
	m.waitFor(func() bool { got, _ := m.object("f.partial"); return got == "killed\n" })
}

func TestRenameOfAnOpenDirectory(t *testing.T) {
	m := mountStore(t, Options{})
	m.sh(`mkdir -p a/b; echo old > a/b/f; exec 5>> a/b/f; exec 6> a/b/new; echo x >&5; mv a z; echo y >&5; echo n >&6; exec 5>&- 6>&-
		cat z/b/f; [ ! -e a ]`)
	m.wantKeys("z/", "z/b/", "z/b/f", "z/b/new")
	m.wantObject("z/b/f", "old\nx\ny\n")
	m.wantObject("z/b/new", "n\n")
}

func TestServerSideCopy(t *testing.T) {
	m, faults := counting(t, Options{})
	m.sh(`head -c 3000000 /dev/urandom > f`)
	faults.Reset()
	m.sh(`cp f g; cmp f g; cp --reflink=never f h; cmp f h`)
	if faults.Count(faultstore.Copy, "g") != 1 || faults.Count(faultstore.Put, "g") != 0 {
		t.Errorf("cp was not a copy inside the store: %v", faults.Calls())
	}
}

func TestLastEntryDoesNotTakeTheDirectoryAlong(t *testing.T) {
	m := mountStore(t, Options{})
	m.put("implicit/f", "x", nil)
	m.sh(`rm implicit/f; [ -d implicit ]; rmdir implicit`)
	m.wantKeys()
}

func TestXattrs(t *testing.T) {
	m := mountStore(t, Options{})
	m.sh(`echo x > f; setfattr -n user.note -v hello f; [ "$(getfattr --only-values -n user.note f)" = hello ]
		[ "$(getfattr --only-values -n user.pailfs.key f)" = f ]; [ "$(getfattr --only-values -n user.pailfs.state f)" = committed ]
		getfattr -n user.none f 2>/dev/null && exit 1 || true; setfattr -x user.note f; [ -z "$(getfattr -d f)" ]`)
}

func TestReadOnly(t *testing.T) {
	m := mountStore(t, Options{ReadOnly: true})
	m.put("f", "x", nil)
	m.sh(`cat f; for c in 'echo y > f' 'rm f' 'touch g' 'mkdir d' 'chmod 600 f' 'mv f g'; do bash -c "$c" 2>/dev/null && exit 1 || true; done`)
	m.wantKeys("f")
}

func TestSparseAndTruncated(t *testing.T) {
	m := mountStore(t, Options{})
	m.sh(`truncate -s 1M f; [ $(stat -c %s f) = 1048576 ]; truncate -s 3 f; printf abcdef > g; truncate -s 3 g; truncate -s 5 g`)
	m.wantObject("f", "\x00\x00\x00")
	m.wantObject("g", "abc\x00\x00")
}

func TestLookupsInALargeDirectory(t *testing.T) {
	m, faults := counting(t, Options{AttrTTL: time.Minute})
	for i := range 3500 {
		m.put(fmt.Sprintf("d/%04d", i), "", nil)
	}
	m.sh(`stat d`)
	faults.Reset()
	m.sh(`stat d/0001 d/0002`)
	if n := faults.Count(faultstore.List, "d/"); n > 3 {
		t.Errorf("two lookups read %d pages", n)
	}
	faults.Reset()
	m.sh(`stat d/0{000..400} > /dev/null`)
	if n := len(faults.Calls()); n > 60 {
		t.Errorf("400 lookups cost %d requests", n)
	}
}

func TestPrivateObjectsOfADeadMountAreRemoved(t *testing.T) {
	state := t.TempDir()
	m := mountStore(t, Options{StateDir: state})
	m.put(m.server.m.private+"1", "left", nil)
	m.put(keypath.Private+"/tmp/somebody/1", "alive", nil)
	alive := mountStore(t, Options{StateDir: state, Store: m.store})
	alive.server.m.late.Wait()
	m.wantKeys(m.server.m.private+"1", keypath.Private+"/tmp/somebody/1")
	m.server.m.registry.Close() // as if it had died
	after := mountStore(t, Options{StateDir: state, Store: m.store})
	after.server.m.late.Wait()
	m.wantKeys(keypath.Private + "/tmp/somebody/1")
}

func TestRefusedAttributesAreTakenBack(t *testing.T) {
	m, faults := counting(t, Options{})
	m.sh(`echo content > f; chmod 640 f`)
	faults.Add(faultstore.Rule{Op: faultstore.Copy, Key: "f", Err: objstore.ErrPermission})
	m.sh(`exec 5< f; for c in 'chmod 600 f' 'setfattr -n user.a -v b f' 'touch -d 2001-01-01 f'; do bash -c "$c" 2>/dev/null && exit 1 || true; done
		[ "$(cat <&5)" = content ]; [ "$(stat -c %a f)" = 640 ]; [ -z "$(getfattr -d f)" ]
		[ "$(getfattr --only-values -n user.pailfs.state f)" = committed ]`)
	m.wantObject("f", "content\n")
}

// open(2) with O_RDONLY and O_CREAT, as flock(1) does it, makes an object too.
func TestCreatedForReading(t *testing.T) {
	m := mountStore(t, Options{})
	m.sh(`python3 -c 'import os; os.close(os.open("lock", os.O_RDONLY | os.O_CREAT, 0o600))'`)
	m.wantObject("lock", "")
}
