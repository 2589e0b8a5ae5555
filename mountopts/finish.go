package mountopts

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"
)

// MinMemory is the smallest memory budget: two 8 MiB parts on their way, one
// being filled, and as much again for readers.
const MinMemory = 48 << 20

// bootWait is how long an fstab entry with _netdev waits for the network: less
// than the 90 s that systemd gives a mount (DefaultTimeoutStartSec of
// systemd-system.conf(5)).
const bootWait = time.Minute

// Finish fills what follows from other options and checks them all. The
// working directory must still be the caller's: paths become absolute here.
func (o *Options) Finish() error {
	if o.FileMode == unset {
		o.FileMode = 0o666 &^ o.Umask
	}
	if o.DirMode == unset {
		o.DirMode = 0o777 &^ o.Umask
	}
	if o.MountTimeout == unsetWait {
		o.MountTimeout = 0
		if o.network {
			o.MountTimeout = bootWait
		}
	}
	o.KernelOptions = o.kernelOptions()
	for _, path := range []*string{&o.Mountpoint, &o.StateDir, &o.RunDir, &o.LogFile, &o.CAFile, &o.CacheDir} {
		if *path == "" {
			continue
		}
		abs, err := filepath.Abs(*path)
		if err != nil {
			return fmt.Errorf("make %s absolute: %w", *path, err)
		}
		*path = abs
	}
	if err := o.checkSource(); err != nil {
		return err
	}
	if err := o.finishCache(); err != nil {
		return err
	}
	return o.check()
}

func (o *Options) check() error {
	fail := func(name, value, format string, args ...any) error {
		return &OptionError{Name: name, Value: value, Err: fmt.Errorf(format, args...)}
	}
	switch {
	case o.CreateBucket && o.ReadOnly:
		return fail("create-bucket", "", "a read-only mount makes nothing")
	case o.Mountpoint == "":
		return errors.New("no mount point given")
	case o.Memory < MinMemory:
		return fail("memory", FormatSize(o.Memory), "must be at least %s", FormatSize(MinMemory))
	case o.Parallel < 1 || o.Parallel > 1024:
		return fail("parallel", fmt.Sprint(o.Parallel), "must be from 1 to 1024")
	case o.ReadAhead < 1<<20:
		return fail("read-ahead", FormatSize(o.ReadAhead), "must be at least 1MiB")
	case o.Passthrough && o.CacheDir == "":
		return fail("passthrough", "", "needs --cache-dir, the directory to read from")
	case o.CacheMemory > o.Memory/4:
		return fail("cache-memory", FormatSize(o.CacheMemory), "must be at most a quarter of memory=%s", FormatSize(o.Memory))
	case o.Size < 1<<20:
		return fail("size", FormatSize(o.Size), "must be at least 1MiB")
	case o.Umask > 0o777:
		return fail("umask", fmt.Sprintf("%#o", o.Umask), "must be at most 0777")
	case o.FileMode > 0o777:
		return fail("file-mode", fmt.Sprintf("%#o", o.FileMode), "must be at most 0777")
	case o.DirMode > 0o1777:
		return fail("dir-mode", fmt.Sprintf("%#o", o.DirMode), "must be at most 01777")
	case o.RequestLimit < 0:
		return fail("request-limit", fmt.Sprint(o.RequestLimit), "must not be negative")
	case o.Timeout == 0:
		return fail("timeout", "0", "must be more than nothing")
	case o.ConnectTimeout == 0:
		return fail("connect-timeout", "0", "must be more than nothing")
	case o.StateDir == "":
		return fail("state-dir", "", "is not known here (no HOME): give one")
	case o.RunDir == "":
		return fail("run-dir", "", "must not be empty")
	}
	return nil
}

// RequestTimeout is the longest silence of the store within one request: what
// leaves time for several tries within Timeout, a minute at most.
func (o *Options) RequestTimeout() time.Duration {
	return min(max(o.Timeout/5, time.Second), time.Minute)
}

func (o *Options) checkSource() error {
	if o.Source == "" {
		return errors.New("no source given: a URL such as s3://bucket or file:///directory")
	}
	u, err := url.Parse(o.Source)
	if err != nil {
		return fmt.Errorf("source %q is not a URL: write it as s3://bucket/prefix or file:///directory", Redact(o.Source))
	}
	if u.Scheme == "" {
		if strings.HasPrefix(o.Source, "/") || strings.HasPrefix(o.Source, ".") {
			return fmt.Errorf("source %q is not a URL: for a directory write file://%s", o.Source, absOr(o.Source))
		}
		return fmt.Errorf("source %q is not a URL: write it as s3://%s", Redact(o.Source), Redact(o.Source))
	}
	return o.takeFromURL(u)
}

func absOr(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	return abs
}
