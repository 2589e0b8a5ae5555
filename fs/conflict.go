package fs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"time"

	"github.com/pailfs/pailfs/fs/draft"
	"github.com/pailfs/pailfs/fs/keypath"
	"github.com/pailfs/pailfs/objstore"
)

// lost keeps the bytes of a file that somebody else changed in the meantime.
func (f *file) lost(err error) {
	key := f.m.tree.path(&f.place)
	host, _ := os.Hostname()
	copyKey := fmt.Sprintf("%s.conflict-%s-%s", key, host, time.Now().UTC().Format("20060102T150405.000Z"))
	size := f.size()
	kept, first := f.detachKeeping(err, copyKey)
	if !first {
		return // told already
	}
	msg := "the object was changed by somebody else while it was open here: theirs stays"
	if kept == "" {
		msg += ", what was written here is lost"
	}
	f.m.log.Error(msg, "key", key, "ours", kept, "err", err)
	f.m.report(Unsaved{Key: key, Size: size, Err: err, Kept: kept})
}

// detach takes the file out of sight: those who have it open get errors, the
// name shows what the store has.
func (f *file) detach(reason error) {
	size := f.size()
	if kept, _ := f.detachKeeping(reason, ""); kept != "" { // it was pending
		f.m.report(Unsaved{Key: f.m.tree.path(&f.place), Size: size, Err: reason, Kept: kept})
	}
}

// detachKeeping is detach, with the content kept under another key. It says
// where the bytes are: "" if they could not be kept, or should not. first is false
// when the file was detached before.
func (f *file) detachKeeping(reason error, key string) (kept string, first bool) {
	parent, name := f.m.tree.at(&f.place)
	f.mu.Lock()
	if f.dead != nil {
		f.mu.Unlock()
		return "", false
	}
	f.dead = reason
	dr := f.draft
	f.draft = nil
	p, covered := f.pending, f.coveredBy(dr)
	f.pending = nil
	f.mu.Unlock()
	parent.forget(name, f)
	f.dropReader()
	// The kernel still shows the node under its name. It holds locks while it
	// waits for the call that brought us here, so tell it from elsewhere.
	go parent.NotifyEntry(name)
	if dr == nil {
		return "", true
	}
	if key != "" {
		kept = f.saveTo(dr, key)
	}
	switch {
	case p == nil:
	case kept != "" && covered:
		f.release(p)
	default:
		local := f.keepPending(p, true)
		kept = cmp.Or(kept, local)
	}
	dr.Discard()
	return kept, true
}

func (f *file) saveTo(dr *draft.Draft, key string) string {
	ctx, cancel := context.WithTimeout(context.Background(), f.m.opt.Timeout)
	defer cancel()
	f.mu.Lock()
	must, soft := f.attr.encode()
	f.mu.Unlock()
	maps.Copy(must, soft)
	opt := objstore.PutOptions{Metadata: must, StorageClass: f.m.opt.StorageClass, Cond: objstore.Cond{Absent: f.m.opt.CreateOnly}}
	obj, err := dr.SaveTo(ctx, key, opt)
	if errors.Is(err, objstore.ErrCond) || errors.Is(err, objstore.ErrNotFound) {
		var ranges []objstore.Range
		obj, ranges, err = dr.SaveWritten(ctx, key, opt)
		f.m.log.Warn("the version that was opened is gone: only what was written is kept, one range behind the other",
			"key", key, "ranges", ranges)
	}
	if err != nil {
		f.m.log.Error("the bytes could not be kept", "key", key, "err", err)
		return ""
	}
	parent, _ := f.m.tree.at(&f.place)
	_, name := keypath.Parent(key)
	parent.noteFile(name, obj)
	go parent.NotifyEntry(name) // which may know that there is none
	return key
}
