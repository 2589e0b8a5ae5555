package fs

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pailfs/pailfs/fs/journal"
	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/faultstore"
	"github.com/pailfs/pailfs/objstore/memstore"
)

// async mounts a store with CommitAsync. No file comes through while the gate is shut.
// The store of the test itself has neither gate nor faults.
func async(t *testing.T, opt Options) (*mounted, *faultstore.Faults, *faultstore.Gate) {
	opt.CommitAsync = true
	if opt.StateDir == "" {
		opt.StateDir = t.TempDir()
	}
	store := memstore.New(memstore.Options{})
	faulty, faults := faultstore.Wrap(store)
	opt.Store = faulty
	m := mountStore(t, opt)
	m.store = store
	gate := faultstore.NewGate()
	t.Cleanup(gate.Release)
	faults.Add(faultstore.Rule{Op: faultstore.Put, Key: "*/"}) // directories are made
	faults.Add(faultstore.Rule{Op: faultstore.Put, Gate: gate})
	return m, faults, gate
}

func (m *mounted) state(name string) string {
	m.Helper()
	return m.sh(`getfattr --only-values -n user.pailfs.state ` + name)
}

// idle waits until the mount has nothing to upload.
func (m *mounted) idle() {
	m.Helper()
	m.waitFor(func() bool { return len(m.server.Uncommitted()) == 0 })
}

func TestPendingFilesAreSeen(t *testing.T) {
	m, faults, gate := async(t, Options{})
	m.put("sub/there", "old", nil)
	got := m.sh(`echo one > f; echo two > sub/g; echo new > sub/there; : > empty
		ls; ls sub; cat f sub/g sub/there; stat -c '%n %s' f sub/g sub/there empty`)
	if want := "empty\nf\nsub\ng\nthere\none\ntwo\nnew\nf 4\nsub/g 4\nsub/there 4\nempty 0\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, name := range []string{"f", "sub/g", "sub/there", "empty"} {
		if got := m.state(name); got != "pending" {
			t.Errorf("state of %s is %q", name, got)
		}
	}
	m.wantObject("sub/there", "old")
	// Whatever the kernel forgets, the names lead to what was written.
	for _, n := range []struct {
		d    *dir
		name string
	}{{m.server.m.root.sub("sub"), "g"}, {m.server.m.root.sub("sub"), "there"}, {m.server.m.root, "f"}, {m.server.m.root, "sub"}} {
		n.d.NotifyEntry(n.name)
	}
	if got := m.sh(`cat f sub/g sub/there; ls sub; rmdir sub 2>/dev/null && echo removed || true`); got != "one\ntwo\nnew\ng\nthere\n" {
		t.Errorf("got %q", got)
	}
	if u := m.server.Uncommitted(); len(u) != 4 || !u[0].Local || u[1].Key != "f" || u[1].Size != 4 {
		t.Errorf("uncommitted: %+v", u)
	}
	gate.Release()
	m.idle()
	m.wantObject("f", "one\n")
	m.wantObject("sub/g", "two\n")
	m.wantObject("sub/there", "new\n")
	m.wantObject("empty", "")
	if got := m.sh(`cat f sub/g sub/there`) + m.state("f"); got != "one\ntwo\nnew\ncommitted" {
		t.Errorf("got %q", got)
	}
	if n := faults.Count(faultstore.Put, "f"); n != 1 {
		t.Errorf("%d puts of f", n)
	}
	m.waitFor(func() bool { return len(m.server.m.root.sub("sub").Children()) < 3 }) // no pin is left
}

func (d *dir) sub(name string) *dir {
	sub, _ := ops[*dir](d.GetChild(name))
	return sub
}

// What changes a pending file comes after its upload.
func TestChangesOfPendingFiles(t *testing.T) {
	m, faults, gate := async(t, Options{Parallel: 1})
	m.sh(`echo 1 > f; echo 1 > g; echo 1 > h; echo 1 > i; echo 1 > gone`)
	m.sh(`rm gone; [ ! -e gone ]`) // its upload has not begun
	done := make(chan string)
	go func() {
		done <- m.sh(`echo 2 >> f & mv g g2 & mv h i & wait; chmod 600 f; cat f g2 i; stat -c %a f; ls`)
	}()
	if err := gate.Await(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	gate.Release()
	if got := <-done; got != "1\n2\n1\n1\n600\nf\ng2\ni\n" {
		t.Errorf("got %q", got)
	}
	m.idle()
	m.wantObject("f", "1\n2\n")
	m.wantKeys("f", "g2", "i")
	if n := faults.Count(faultstore.Put, "gone"); n != 0 {
		t.Errorf("what was removed was sent")
	}
}

func TestOverwritesOfPendingFilesAreInOrder(t *testing.T) {
	m, _, gate := async(t, Options{})
	gate.Release()
	m.sh(`for i in $(seq 30); do echo $i > f; echo $i >> g; done; [ "$(cat f)" = 30 ]`)
	m.idle()
	m.wantObject("f", "30\n")
	if got, _ := m.object("g"); strings.Count(got, "\n") != 30 {
		t.Errorf("g = %q", got)
	}
}

// Who comes to upload a pending file, and finds that another was faster and that a
// program has begun to write again, publishes no half.
func TestUploadPublishesNoHalf(t *testing.T) {
	m, faults, gate := async(t, Options{Parallel: 1})
	m.sh(`echo first > first; echo 1 > f`)
	ctx, f := t.Context(), m.server.m.root.fileNamed("f")
	if err := f.busy.lock(ctx); err != nil {
		t.Fatal(err)
	}
	late := make(chan bool)
	go func() {
		f.upload(ctx)
		late <- true
	}()
	go func() {
		if err := f.settlePending(ctx); err != nil {
			t.Error(err)
		}
		late <- true
	}()
	time.Sleep(20 * time.Millisecond) // both wait, most of the time
	faults.Clear()
	gate.Release()
	if err := f.commitBusy(ctx); err != nil {
		t.Fatal(err)
	}
	h, _, en := f.open(syscall.O_WRONLY)
	if en != 0 {
		t.Fatal(en)
	}
	if _, en := f.Write(ctx, h, []byte("half"), 2); en != 0 {
		t.Fatal(en)
	}
	f.busy.unlock()
	<-late
	<-late
	m.wantObject("f", "1\n")
	if en := f.Flush(ctx, h); en != 0 {
		t.Error(en)
	}
	f.Release(ctx, h)
	m.idle()
	m.wantObject("f", "1\nhalf")
}

func TestFsyncWaitsForTheStore(t *testing.T) {
	m, _, gate := async(t, Options{})
	m.sh(`echo 1 > f`)
	synced := make(chan string, 2)
	for _, what := range []string{"f", "."} {
		go func() { synced <- m.sh(`sync ` + what) }()
		if what == "f" {
			if err := gate.Await(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			select {
			case <-synced:
				t.Error("fsync has not waited")
			default:
			}
			gate.Release()
		}
		<-synced
		m.wantObject("f", "1\n")
	}
}

func TestManyPendingFilesAreFewSyncs(t *testing.T) {
	m, faults, gate := async(t, Options{Memory: 48 << 20})
	gate.Release()
	src := t.TempDir()
	for i := range 300 {
		text := strings.Repeat(fmt.Sprint(i), 100_000/len(fmt.Sprint(i)))
		if err := os.WriteFile(filepath.Join(src, fmt.Sprint(i)), []byte(text), 0600); err != nil {
			t.Fatal(err)
		}
	}
	m.sh(`cp -r ` + src + ` all; diff -r ` + src + ` all`)
	m.idle()
	m.sh(`diff -r ` + src + ` all`)
	if n := faults.Count(faultstore.Put, "all/*"); n > 305 {
		t.Errorf("%d puts", n)
	}
	if n := m.server.m.drafts.Stats().Spilled; n != 0 {
		t.Errorf("%d bytes went to private objects: pending files should need no memory", n)
	}
}

// died gives the state directory of a mount that was killed with files pending, and
// the store.
func died(t *testing.T, script string) (state string, store objstore.Store, dead *mounted) {
	state = t.TempDir()
	store = memstore.New(memstore.Options{})
	failing, faults := faultstore.Wrap(store)
	faults.Add(faultstore.Rule{Op: faultstore.Put, Err: objstore.ErrPermission})
	m := mountStore(t, Options{CommitAsync: true, StateDir: state, Store: failing})
	m.sh(script)
	m.server.m.uploads.cancel()
	if err := m.server.m.journal.Close(); err != nil {
		t.Fatal(err)
	}
	return state, store, m
}

func TestNextMountUploads(t *testing.T) {
	state, store, _ := died(t, `echo 1 > f; echo 2 > b; printf 3 > $'x\xff'; chmod 640 b 2>/dev/null || true`)
	for _, async := range []bool{false} {
		m := mountStore(t, Options{CommitAsync: async, StateDir: state, Store: store})
		if got := m.sh(`cat f b $'x\xff'; ls | wc -l`); got != "1\n2\n33\n" {
			t.Errorf("got %q", got)
		}
		m.idle()
		m.wantObject("f", "1\n")
		m.wantObject("b", "2\n")
		m.wantObject("x\xff", "3")
		if left := m.server.Drain(t.Context()); len(left) != 0 {
			t.Errorf("unsaved: %v", left)
		}
		if journal.Exists(m.server.m.journalDir) {
			t.Error("the journal is not empty at the end")
		}
	}
}

// The dead mount has sent it, and not noted so.
func TestNextMountKnowsWhatWasUploaded(t *testing.T) {
	state, store, dead := died(t, `echo 1 > f; echo 2 > g`)
	f := dead.server.m.root.fileNamed("f")
	must, _ := f.attr.encode()
	must["pailfs-id"] = f.pending.ID
	if _, err := store.Put(t.Context(), "f", body("1\n"), objstore.PutOptions{Metadata: must}); err != nil {
		t.Fatal(err)
	}
	// Somebody else was first.
	if _, err := store.Put(t.Context(), "g", body("theirs"), objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	m := mountStore(t, Options{StateDir: state, Store: store, CommitAsync: true})
	m.waitFor(func() bool { return len(m.server.Unsaved()) == 1 })
	m.idle()
	m.wantObject("f", "1\n")
	m.wantObject("g", "theirs")
	u := m.server.Unsaved()[0]
	if got, _ := m.object(u.Kept); u.Key != "g" || !strings.HasPrefix(u.Kept, "g.conflict-") || got != "2\n" {
		t.Errorf("%+v, kept %q", u, got)
	}
}

func body(text string) *io.SectionReader {
	return io.NewSectionReader(strings.NewReader(text), 0, int64(len(text)))
}

func TestStoreThatFailsForGood(t *testing.T) {
	m, faults, gate := async(t, Options{})
	faults.Clear()
	faults.Add(faultstore.Rule{Op: faultstore.Put, Key: "f", Err: objstore.ErrPermission})
	gate.Release()
	m.sh(`echo mine > f; echo ok > g`)
	m.waitFor(func() bool { return strings.HasPrefix(m.state("f"), "failed: ") && m.state("g") == "committed" })
	if got := m.sh(`cat f`); got != "mine\n" {
		t.Errorf("got %q", got)
	}
	if out, err := m.try(`sync f`); err == nil || !strings.Contains(out, "denied") {
		t.Errorf("sync: %s, %v", out, err)
	}
	if u := m.server.Uncommitted(); len(u) != 1 || u[0].Key != "f" || u[0].Err == nil || !u[0].Local {
		t.Errorf("uncommitted: %+v", u)
	}
	if err := m.server.Unmount(); err != nil {
		t.Fatal(err)
	}
	left := m.server.Drain(t.Context())
	if len(left) != 1 || left[0].Key != "f" || left[0].Err == nil {
		t.Fatalf("unsaved: %+v", left)
	}
	if got, err := os.ReadFile(left[0].Kept); err != nil || string(got) != "mine\n" {
		t.Errorf("%s has %q, %v", left[0].Kept, got, err)
	}
	m.wantObject("g", "ok\n")
	faults.Clear()
	after := mountStore(t, Options{StateDir: m.server.m.opt.StateDir, Store: m.store})
	after.idle()
	after.wantObject("f", "mine\n")
	if _, err := os.Stat(left[0].Kept); !os.IsNotExist(err) {
		t.Errorf("the copy is still there: %v", err)
	}
	m.server, m.dir = after.server, after.dir // the first is unmounted already
}

func TestFailureThatPasses(t *testing.T) {
	m, faults, gate := async(t, Options{})
	faults.Clear()
	faults.Add(faultstore.Rule{Op: faultstore.Put, Key: "f", Err: objstore.ErrTransient, Count: 1})
	gate.Release()
	m.sh(`echo x > f`)
	m.idle()
	m.wantObject("f", "x\n")
	if left := m.server.Unsaved(); len(left) != 0 {
		t.Errorf("unsaved: %v", left)
	}
}

func TestConflictThatTheStoreRefusesToKeep(t *testing.T) {
	m, faults, gate := async(t, Options{})
	m.sh(`echo mine > f`)
	if err := gate.Await(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	faults.Clear()
	m.put("f", "theirs", nil)
	faults.Add(faultstore.Rule{Op: faultstore.Put, Key: "f.conflict*", Err: objstore.ErrPermission})
	gate.Release()
	m.waitFor(func() bool { return len(m.server.Unsaved()) == 1 })
	u := m.server.Unsaved()[0]
	if got, err := os.ReadFile(u.Kept); err != nil || string(got) != "mine\n" {
		t.Errorf("kept under %q: %q, %v", u.Kept, got, err)
	}
	m.waitFor(func() bool { return m.sh(`cat f`) == "theirs" })
}

func TestJournalThatTakesNothing(t *testing.T) {
	m, _, gate := async(t, Options{})
	gate.Release()
	m.server.m.journal.Close() // as if the disk had failed
	m.sh(`echo 1 > f; echo 2 > g`)
	m.wantObject("f", "1\n")
	m.wantObject("g", "2\n")
	if n := strings.Count(m.log.String(), "the journal takes no more"); n != 1 {
		t.Errorf("%d warnings", n)
	}
}

func TestNotTooManyFilesArePending(t *testing.T) {
	m, _, gate := async(t, Options{Parallel: 2})
	m.server.m.uploads.most = 3
	written := make(chan string)
	go func() { written <- m.sh(`for i in $(seq 9); do echo $i > $i; done; ls`) }()
	// Two are under way, three wait, and one is not closed. Workers that are late take
	// theirs out of the three.
	m.waitFor(func() bool { return len(m.server.Uncommitted()) >= 4 })
	time.Sleep(2 * quiet) // nothing more happens
	if n := len(m.server.Uncommitted()); n > 6 {
		t.Errorf("%d files are pending", n)
	}
	gate.Release()
	<-written
	m.idle()
	m.wantKeys("1", "2", "3", "4", "5", "6", "7", "8", "9")
}

func TestOneMountHasTheJournal(t *testing.T) {
	m, _, gate := async(t, Options{})
	gate.Release()
	if _, err := Mount(t.TempDir(), Options{Store: m.store, StateDir: m.server.m.opt.StateDir, CommitAsync: true, FsName: "test", Log: m.server.m.log}); err == nil || !strings.Contains(err.Error(), "--state-dir") {
		t.Errorf("second mount: %v", err)
	}
	if _, err := Mount(t.TempDir(), Options{Store: m.store, CommitAsync: true, Log: m.server.m.log}); err == nil {
		t.Error("mounted without a state directory")
	}
}

func TestLargeFilesAreCommittedByClose(t *testing.T) {
	m, _, gate := async(t, Options{})
	gate.Release()
	m.sh(`head -c 20000000 /dev/zero > f`)
	if got, _ := m.object("f"); len(got) != 20000000 {
		t.Errorf("%d bytes", len(got))
	}
}

func TestUnlinkedPendingFileStaysReadable(t *testing.T) {
	m, _, gate := async(t, Options{Parallel: 1})
	if got := m.sh(`echo 0 > first; echo 1 > f; exec 5< f; rm f; cat <&5; ls`); got != "1\nfirst\n" {
		t.Errorf("got %q", got)
	}
	gate.Release()
	m.idle()
	m.wantKeys("first")
}

func TestDirectoryWithPendingFilesIsRenamed(t *testing.T) {
	m, _, gate := async(t, Options{})
	gate.Release()
	m.sh(`mkdir -p a/b; for i in 1 2 3; do echo $i > a/b/$i; done; mv a z; cat z/b/1 z/b/2 z/b/3; rm -r z; [ -z "$(ls)" ]`)
	m.idle()
	m.wantKeys()
}

func TestDrainEndsWithItsTime(t *testing.T) {
	m, _, _ := async(t, Options{})
	m.sh(`echo 1 > f`)
	if err := m.server.Unmount(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	left := m.server.Drain(ctx)
	if len(left) != 1 || left[0].Kept == "" {
		t.Errorf("unsaved: %+v", left)
	}
	after := mountStore(t, Options{StateDir: m.server.m.opt.StateDir})
	if got := after.sh(`cat f`); got != "1\n" {
		t.Errorf("got %q", got)
	}
	after.idle()
	m.server, m.dir = after.server, after.dir
}
