// Package filemeta reads and writes the attributes of files as they stand in the
// metadata of objects, as s3fs and rclone write them.
package filemeta

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Names in the metadata: the mode in decimal with the bits of the file type, the
// time of the last change in seconds with a fraction.
const (
	Mode  = "mode"
	Mtime = "mtime"
)

// ParseMode understands decimal, and octal behind a zero (rclone).
func ParseMode(v string) (mode uint32, ok bool) {
	base := 10
	if strings.HasPrefix(v, "0") {
		base = 8
	}
	n, err := strconv.ParseUint(v, base, 32)
	return uint32(n), err == nil
}

// FormatMode writes a mode with the bits of the file type.
func FormatMode(mode uint32) string { return strconv.FormatUint(uint64(mode), 10) }

// FormatTime writes seconds since 1970 with nine digits of their fraction.
func FormatTime(t time.Time) string {
	return fmt.Sprintf("%d.%09d", t.Unix(), t.Nanosecond())
}

// ParseTime understands seconds with a fraction of any length (s3fs, rclone)
// and RFC 3339 (rclone).
func ParseTime(v string) (t time.Time, ok bool) {
	if t, err := time.Parse(time.RFC3339Nano, v); err == nil {
		return t, true
	}
	secs, frac, _ := strings.Cut(v, ".")
	s, err := strconv.ParseInt(secs, 10, 64)
	if err != nil {
		return time.Time{}, false
	}
	var ns int64
	if frac != "" {
		frac = (frac + "000000000")[:9]
		if ns, err = strconv.ParseInt(frac, 10, 64); err != nil || ns < 0 {
			return time.Time{}, false
		}
	}
	return time.Unix(s, ns), true
}
