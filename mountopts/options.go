// Package mountopts holds the options of one mount. Every option is one field
// of Options and one row of its table; it can be given as --flag value, as
// -o name=value (mount(8), fstab) and as the environment variable
// PAILFS_NAME. What comes later wins: default, environment, command line from
// left to right.
package mountopts

import (
	"math"
	"os"
	"time"
)

// unset marks a mode that nobody gave.
const unset = math.MaxUint32

// unsetWait marks a duration that nobody gave.
const unsetWait = -1

// Options are the options of one mount, in the units that their types say;
// sizes are bytes. Get them from New, then read the environment and the
// command line into them, then call Finish.
type Options struct {
	Source     string // the URL as it was given; may hold secrets, see Redact
	Mountpoint string // absolute after Finish

	// KernelOptions are the generic mount options that the kernel must see,
	// such as noexec. Finish fills it from what -o was given.
	KernelOptions []string

	// Where the objects are. Empty: what the SOURCE URL says.
	Endpoint  string
	Region    string
	Profile   string
	PathStyle string
	CAFile    string

	// Credentials given outright; secrets but for Account. Empty: what the
	// provider's own tools would find. Finish moves those of the SOURCE URL here.
	AccessKeyID, SecretAccessKey, SessionToken string // S3
	Account, AccountKey, SAS, ConnectionString string // Azure; Account also for R2
	Credentials                                string // Cloud Storage: a file, or the JSON itself
	Impersonate                                string // Cloud Storage: an account to act as
	Anonymous                                  bool

	CreateBucket bool // make the bucket, container or directory if it is missing

	// Whose files they are and who may see them.
	ReadOnly           bool
	AllowOther         bool
	DefaultPermissions bool
	UID, GID           uint32
	Umask              uint32
	FileMode, DirMode  uint32

	// Bounds.
	Memory    int64
	ReadAhead int64
	Parallel  int

	// What was read. Finish fills in sizes that were not given.
	CacheMemory          int64  // of Memory
	CacheDir             string // "" keeps nothing on the disk
	CacheSize, CacheFree int64
	Passthrough          bool

	// What a file is worth.
	Commit       string // close, async
	FailedWriter string
	HardLinks    string
	CreateOnly   bool
	NoDelete     bool
	StorageClass string
	SHA256       string // whose sum is noted: small, all
	AttrTTL      time.Duration
	Writeback    bool
	Size         int64
	MaxFileSize  int64 // 0 is what the provider can hold

	// The network and the end.
	UploadLimit    Schedule
	DownloadLimit  Schedule
	RequestLimit   int // a second; 0 is any number
	Timeout        time.Duration
	ConnectTimeout time.Duration
	MountTimeout   time.Duration // 0 gives up at the first failure
	DrainTimeout   time.Duration

	// The server process.
	Config     string
	Foreground bool
	Nonempty   bool
	StateDir   string
	RunDir     string
	LogFile    string
	LogLevel   string // debug, info, warn, error
	LogFormat  string // auto, text, json
	Listen     string // host:port for metrics; "" serves none
	Pprof      bool
	Debug      bool

	rows    []row
	remount bool     // remount was given
	network bool     // _netdev was given
	generic []string // generic mount options in the order they were given
}

// New returns the defaults.
func New() *Options {
	o := &Options{
		DefaultPermissions: true,
		UID:                uint32(os.Getuid()),
		GID:                uint32(os.Getgid()),
		Umask:              0o022,
		FileMode:           unset,
		DirMode:            unset,
		Memory:             defaultMemory(memoryLimit("/")),
		CacheMemory:        unsetSize,
		CacheSize:          unsetSize,
		CacheFree:          unsetSize,
		ReadAhead:          96 << 20,
		Parallel:           16,
		Commit:             "close",
		FailedWriter:       "keep-old",
		SHA256:             "small",
		AttrTTL:            time.Second,
		Writeback:          true,
		Size:               1 << 50,
		Timeout:            5 * time.Minute,
		ConnectTimeout:     10 * time.Second,
		MountTimeout:       unsetWait,
		DrainTimeout:       5 * time.Minute,
		StateDir:           defaultStateDir(os.Getuid(), os.Getenv),
		RunDir:             DefaultRunDir(os.Getuid(), os.Getenv),
		LogLevel:           "info",
		LogFormat:          "auto",
	}
	o.rows = o.table()
	return o
}
