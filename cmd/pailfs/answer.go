package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pailfs/pailfs/cmd/pailfs/internal/control"
	"github.com/pailfs/pailfs/objstore"
	"golang.org/x/sys/unix"
)

// answer serves the control socket.
func (l *life) answer(ctx context.Context, req control.Request, tell func(control.Progress)) control.Answer {
	switch {
	case req.Unmount:
		return l.answerUnmount(req, tell)
	case req.Status:
		return control.Answer{Status: l.Status()}
	case req.Wait != "":
		return l.answerWait(ctx, req.Wait)
	case req.LogLevel != "":
		if err := l.level.UnmarshalText([]byte(req.LogLevel)); err != nil {
			return control.Answer{Err: fmt.Sprintf("log level %q: use debug, info, warn or error", req.LogLevel)}
		}
		return control.Answer{}
	}
	return control.Answer{Err: "unknown request: the server process is of another version"}
}

// answerUnmount returns when everything is saved, or when the file system stays
// mounted.
func (l *life) answerUnmount(req control.Request, tell func(control.Progress)) control.Answer {
	told := make(chan struct{})
	watching, stop := context.WithCancel(context.Background())
	end := func() {
		stop()
		<-told
	}
	if req.Progress {
		go func() {
			defer close(told)
			l.beginSaving().every(watching, 500*time.Millisecond, tell)
		}()
	} else {
		close(told)
	}
	select {
	case <-l.gone: // unmounted by somebody else, still saving
	case <-l.detach:
	default:
		if req.Lazy {
			l.interrupt()
		} else if err := l.srv.Unmount(); err != nil {
			end()
			return l.stays(err, req.PID)
		}
	}
	<-l.over
	end()
	return control.Answer{Unsaved: l.unsaved}
}

func (l *life) stays(err error, asking int) control.Answer {
	a := control.Answer{Err: reason(err).Error()}
	if errors.Is(err, unix.EBUSY) {
		a.Busy = l.findUser(l.opts.Mountpoint, asking)
	}
	return a
}

// waitPause is how often answerWait looks.
const waitPause = 100 * time.Millisecond

// answerWait returns when the file at a key is committed, or is known not to be.
func (l *life) answerWait(ctx context.Context, key string) control.Answer {
	tick := time.NewTicker(waitPause)
	defer tick.Stop()
	for l.isUncommitted(key) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return control.Answer{Err: "nobody waits any more"}
		case <-l.over:
			return control.Answer{Err: "unmounted before it was committed"}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, l.opts.Timeout)
	defer cancel()
	o, err := l.store.Stat(ctx, key)
	for _, u := range l.srv.Unsaved() {
		// What was written since has taken its place.
		if u.Key == key && (err != nil || !o.ModTime.After(u.At)) {
			return control.Answer{Err: u.String()}
		}
	}
	if err != nil {
		return control.Answer{Err: l.opts.Scrub(oneLine(err.Error()))}
	}
	return control.Answer{Object: describe(o)}
}

func (l *life) isUncommitted(key string) bool {
	for _, f := range l.srv.Uncommitted() {
		if f.Key == key {
			return true
		}
	}
	return false
}

func describe(o objstore.Object) *control.Object {
	out := &control.Object{Key: o.Key, Size: o.Size, Version: strings.Trim(string(o.Version), `"`), Checksum: map[string]string{}}
	for name, sum := range map[string][]byte{
		"sha256": o.Checksums.SHA256, "md5": o.Checksums.MD5, "crc32c": o.Checksums.CRC32C, "crc64nvme": o.Checksums.CRC64NVME,
	} {
		if len(sum) > 0 {
			out.Checksum[name] = hex.EncodeToString(sum)
		}
	}
	return out
}
