package fs

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	gofs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sync/semaphore"
	"golang.org/x/sys/unix"

	"github.com/pailfs/pailfs/cache"
	"github.com/pailfs/pailfs/fs/draft"
	"github.com/pailfs/pailfs/fs/journal"
	"github.com/pailfs/pailfs/fs/keypath"
	"github.com/pailfs/pailfs/fs/prefetch"
	"github.com/pailfs/pailfs/fs/readahead"
	"github.com/pailfs/pailfs/internal/registry"
	"github.com/pailfs/pailfs/objstore"
)

// Options of one mount. The zero value of a field is its default unless it says
// otherwise.
type Options struct {
	Store        objstore.Store // required
	FsName       string         // source shown in /proc/mounts; must hold no secret
	MountOptions []string       // for the kernel: noexec, nodev, ...

	ReadOnly           bool
	AllowOther         bool
	DefaultPermissions bool   // the kernel checks mode and owner
	UID, GID           uint32 // of objects that carry no owner
	FileMode, DirMode  uint32 // of objects that carry no mode; 0644 and 0755

	Memory    int64         // bytes for what is being written and read; 256 MiB
	MaxWindow int64         // bytes read ahead of one stream at most
	Cache     *cache.Cache  // of what was read; its memory is part of Memory; nil keeps nothing
	Parallel  int           // requests in flight for one transfer; 16
	AttrTTL   time.Duration // how long the store is believed unasked; 0 asks each time

	Writeback    bool          // let the kernel gather writes
	Passthrough  bool          // let it read whole files of the cache itself, also where not ReadOnly; excludes Writeback
	FailedWriter string        // keep-old (default), partial, publish
	CreateOnly   bool          // refuse to change objects that are there
	NoDelete     bool          // refuse to remove objects
	HardLinks    string        // "" refuses, "copy" copies inside the store
	Size         int64         // bytes that df shows; 1 PiB
	StorageClass string        // of new objects
	SHA256All    bool          // note the SHA-256 of objects in parts too, see draft.Options
	Timeout      time.Duration // of the calls that nobody waits for; 5 min
	StateDir     string
	CommitAsync  bool         // close returns when the local disk has the bytes, see pending.go; needs StateDir
	JournalSize  int64        // bytes that StateDir takes of them; 1 GiB
	Log          *slog.Logger // required
	Debug        bool         // log every request
}

func (o *Options) setDefaults() {
	def := func(p *int64, v int64) {
		if *p == 0 {
			*p = v
		}
	}
	def(&o.Memory, 256<<20)
	def(&o.Size, 1<<50)
	if o.FileMode == 0 {
		o.FileMode = 0644
	}
	if o.DirMode == 0 {
		o.DirMode = 0755
	}
	if o.Parallel == 0 {
		o.Parallel = 16
	}
	o.Writeback = o.Writeback && !o.Passthrough && !o.ReadOnly
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Minute
	}
}

// mount is what all nodes share.
type mount struct {
	opt     Options
	store   objstore.Store
	log     *slog.Logger
	root    *dir
	started time.Time
	private string // prefix of the keys that only this mount uses

	tree   tree
	inos   inos
	serial atomic.Uint64
	drafts *draft.Pool
	reads  *readahead.Pool
	ahead  *prefetch.Pool
	late   sync.WaitGroup // what goes on after the call that caused it

	registry     *registry.Registry // nil without a state directory
	moves        *registry.Registry // renames under way; nil too
	stopCleaning func()             // what is left is for the next mount

	journal    *journal.Journal // nil where nothing is pending, or will be
	journalDir string
	uploads    *uploads // of what is in it
	stowFailed sync.Once

	mu     sync.Mutex
	failed []Unsaved
	hidden map[string]bool   // prefixes whose hidden keys were logged
	toSave map[*dir]struct{} // have learned what the cache does not have
	saving *time.Timer       // to save them
}

// Unsaved is a file whose last changes are not in the store.
type Unsaved struct {
	Key  string
	Size int64
	Err  error
	Kept string // key under which the bytes are kept; "" if they are not
	At   time.Time
}

func (m *mount) report(u Unsaved) {
	m.mu.Lock()
	defer m.mu.Unlock()
	u.At = time.Now()
	m.failed = append(m.failed, u)
}

// countHidden logs, once for a directory, that it has keys which cannot be shown.
func (m *mount) countHidden(prefix string, n int) {
	if n == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.hidden[prefix] {
		m.hidden[prefix] = true
		m.log.Warn("some keys cannot be paths and are not shown", "prefix", prefix, "count", n)
	}
}

// Server is a mounted file system.
type Server struct {
	m    *mount
	fuse *fuse.Server
}

// Mount mounts the store and answers the kernel until it is unmounted.
func Mount(mountpoint string, opt Options) (*Server, error) {
	opt.setDefaults()
	if opt.CreateOnly && !opt.Store.Caps().CondPut {
		return nil, errNoConditions
	}
	m := newMount(opt)
	o := m.fuseOptions()
	if err := takeSymfollow(&o.MountOptions); err != nil {
		return nil, err
	}
	if err := m.openJournal(); err != nil {
		return nil, err
	}
	err := m.watchOrphans()
	var f *fuse.Server
	if err == nil {
		f, err = gofs.Mount(mountpoint, m.root, o)
	}
	if err != nil {
		m.journal.Close()
		return nil, err
	}
	m.readAhead(mountpoint)
	m.resume()
	return &Server{m: m, fuse: f}, nil
}

// privateKeys begin with this: a prefix for each mount is below it.
const privateKeys = keypath.Private + "/tmp/"

func newMount(opt Options) *mount {
	m := &mount{
		opt: opt, store: opt.Store, log: opt.Log, started: time.Now(), stopCleaning: func() {},
		private: privateKeys + strings.ToLower(rand.Text()[:16]) + "/",
		inos:    inos{used: map[uint64]int{}},
		hidden:  map[string]bool{},
	}
	// Two budgets, so that a writer cannot starve readers nor they it.
	writes, reads := opt.Memory/2, opt.Memory/2-opt.Cache.Memory()
	m.drafts = draft.NewPool(draft.Options{
		Store: opt.Store, Base: opt.Cache.Over(opt.Store), Memory: writes, Parallel: opt.Parallel, Private: m.private, SHA256: opt.SHA256All, Log: opt.Log,
	})
	memory := semaphore.NewWeighted(reads)
	m.ahead = prefetch.New(opt.Cache.Over(opt.Store), memory)
	m.reads = readahead.NewPool(readahead.Options{
		Store: m.ahead, Memory: memory, Limit: reads,
		MaxWindow: opt.MaxWindow, MaxGet: opt.Store.Caps().CheckedGet, Parallel: opt.Parallel, Log: opt.Log,
	})
	m.root = m.newDir(nil, "")
	return m
}

// ttl is how long the kernel may believe attributes and names.
func (m *mount) ttl() time.Duration {
	if m.opt.Writeback && m.opt.AttrTTL == 0 {
		return time.Millisecond // 0 costs a GETATTR for every write
	}
	return m.opt.AttrTTL
}

func (m *mount) fuseOptions() *gofs.Options {
	ttl := m.ttl()
	o := &gofs.Options{
		EntryTimeout: &ttl, AttrTimeout: &ttl, NegativeTimeout: &ttl,
		NullPermissions: true,
		MountOptions: fuse.MountOptions{
			Name: "pailfs", FsName: m.opt.FsName, AllowOther: m.opt.AllowOther, Debug: m.opt.Debug,
			MaxWrite: 1 << 20, MaxReadAhead: 1 << 20, MaxBackground: 64,
			DirectMount: true, DisableSplice: true, // what we answer is in memory
			IgnoreSecurityLabels: true, ExplicitDataCacheControl: true,
			EnableSymlinkCaching: true,
			ExtraCapabilities:    fuse.CAP_HANDLE_KILLPRIV_V2 | fuse.CAP_READDIRPLUS_AUTO,
		},
	}
	if m.opt.Writeback {
		o.ExtraCapabilities |= fuse.CAP_WRITEBACK_CACHE
	}
	o.MountOptions.Options = append(o.MountOptions.Options, m.opt.MountOptions...)
	if m.opt.DefaultPermissions {
		o.MountOptions.Options = append(o.MountOptions.Options, "default_permissions")
	}
	if m.opt.ReadOnly {
		o.MountOptions.Options = append(o.MountOptions.Options, "ro")
	}
	return o
}

// takeSymfollow turns the option nosymfollow into the flag that it is; go-fuse and
// fusermount3 do not know it.
func takeSymfollow(o *fuse.MountOptions) error {
	if slices.Contains(o.Options, "nosymfollow") {
		if os.Geteuid() != 0 {
			return errors.New("only root can mount with nosymfollow: leave the option out")
		}
		o.DirectMountFlags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOSYMFOLLOW // Options can take the first two back
		o.DirectMountStrict = true
	}
	o.Options = slices.DeleteFunc(o.Options, func(s string) bool { return s == "nosymfollow" || s == "symfollow" })
	return nil
}

// readAhead asks the kernel for reads of 1 MiB instead of 128 KiB. That takes
// root; without it reads are smaller, no less right.
func (m *mount) readAhead(mountpoint string) {
	dev, err := deviceOf(mountpoint)
	if err == nil {
		err = os.WriteFile("/sys/class/bdi/"+dev+"/read_ahead_kb", []byte("1024"), 0)
	}
	if err != nil {
		m.log.Debug("the kernel's readahead stays as it is", "err", err)
	}
}

// deviceOf gives MAJOR:MINOR of a mount without touching it.
func deviceOf(mountpoint string) (string, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	dev := ""
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) > 4 && unescape(f[4]) == mountpoint {
			dev = f[2] // the last one mounted there
		}
	}
	if dev == "" {
		return "", fmt.Errorf("%s is not in /proc/self/mountinfo", mountpoint)
	}
	return dev, nil
}

// unescape undoes the octal escapes of proc(5)'s mountinfo.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

// Wait returns when the file system is unmounted.
func (s *Server) Wait() { s.fuse.Wait() }

// Unmount unmounts; EBUSY while files are open.
func (s *Server) Unmount() error { return s.fuse.Unmount() }

// Drain commits what is still unsaved, as after an unmount that came before the
// last files were let go, and says what could not be saved at all since the
// mount began.
func (s *Server) Drain(ctx context.Context) []Unsaved {
	m := s.m
	files, _ := m.root.below()
	if m.journal != nil {
		m.drainPending(ctx, files)
	}
	for _, f := range files {
		if !f.unsaved() || m.tree.isUnlinked(&f.place) {
			continue
		}
		if err := f.commit(ctx); err != nil {
			m.report(Unsaved{Key: m.tree.path(&f.place), Size: f.size(), Err: err})
		}
	}
	m.stopCleaning()
	m.ahead.Close()
	m.late.Wait()
	m.saveRecalled()
	if err := m.journal.Close(); err != nil {
		m.log.Warn("state directory", "err", err)
	}
	if err := m.drafts.Close(ctx); err != nil {
		m.log.Warn("some unfinished uploads could not be aborted", "err", err)
	} else if err := m.registry.End(m.private); err != nil {
		m.log.Warn("state directory", "err", err)
	}
	m.registry.Close()
	m.moves.Close()
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.failed
}
