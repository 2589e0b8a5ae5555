package control

import "time"

// Health of a mount.
const (
	OK      = "ok"      // the store answers, and everything that was to be saved is
	Failing = "failing" // the store does not answer, or files could not be saved
	Saving  = "saving"  // unmounted, and saving what is left
)

// Status is what `pailfs status --json` shows. Times are in UTC, sizes in bytes.
type Status struct {
	Version    string    `json:"version"`
	Source     string    `json:"source"` // without secrets
	Mountpoint string    `json:"mountpoint"`
	PID        int       `json:"pid"`
	Started    time.Time `json:"started"`
	Now        time.Time `json:"now"`
	ReadOnly   bool      `json:"read_only"` // was mounted so
	LogLevel   string    `json:"log_level"` // debug, info, warn, error

	Health string `json:"health"` // OK, Failing or Saving
	Reason string `json:"reason,omitempty"`

	Uncommitted []File     `json:"uncommitted"` // being written, or not saved yet
	Failed      []Unsaved  `json:"failed"`      // could not be saved since the mount began
	Transfers   []Transfer `json:"transfers"`   // on their way

	Calls      map[string]Calls `json:"calls"` // of the store, by name
	Sent       int64            `json:"bytes_sent"`
	Received   int64            `json:"bytes_received"`
	Commits    int64            `json:"commits"`
	LastCommit *time.Time       `json:"last_commit,omitempty"`

	Cost *Cost `json:"cost,omitempty"` // of these calls; nil where prices are not known

	Cache *Cache `json:"cache,omitempty"` // nil without one
}

// Cost is an estimate of what requests cost, at published prices.
type Cost struct {
	USD   float64 `json:"usd"`
	Basis string  `json:"basis"` // whose prices, of when
}

// File is one that the store does not have as it is here.
type File struct {
	Key   string     `json:"key"`
	Size  int64      `json:"size"`
	Sent  int64      `json:"sent"` // of it, so far
	Since *time.Time `json:"since,omitempty"`
	Open  bool       `json:"open"`  // for writing
	Local bool       `json:"local"` // closed, and safe on the local disk until it is uploaded
	Err   string     `json:"err,omitempty"`
}

// Transfer is an upload or a download under way.
type Transfer struct {
	Key       string    `json:"key"`
	Direction string    `json:"direction"` // up or down
	Bytes     int64     `json:"bytes"`     // that have arrived
	Size      int64     `json:"size"`      // in all, as far as it is known
	Rate      float64   `json:"rate"`      // bytes a second since it began
	Begun     time.Time `json:"begun"`
}

// Calls counts one method of the store.
type Calls struct {
	Calls   int64            `json:"calls"`
	Errors  map[string]int64 `json:"errors,omitempty"` // by kind
	Bytes   int64            `json:"bytes,omitempty"`
	Seconds float64          `json:"seconds"` // in all
}

// Cache is what the cache of blocks holds in its directory, and how it did.
// Without a directory Used and Limit are 0.
type Cache struct {
	Used   int64 `json:"used"`
	Limit  int64 `json:"limit"`
	Hits   int64 `json:"hits"`
	Misses int64 `json:"misses"`
	Errors int64 `json:"errors"` // blocks that were bad and fetched again
}

// Progress is how far the saving at the end has come.
type Progress struct {
	Files     int           `json:"files"`
	FilesDone int           `json:"files_done"`
	Bytes     int64         `json:"bytes"`
	BytesDone int64         `json:"bytes_done"`
	Rate      float64       `json:"rate"` // bytes a second
	Left      time.Duration `json:"left"` // an estimate; 0 when there is none
}

// Object is what a committed file has become.
type Object struct {
	Key      string            `json:"key"`
	Size     int64             `json:"size"`
	Version  string            `json:"version"`
	Checksum map[string]string `json:"checksum,omitempty"` // hexadecimal, by algorithm
}
