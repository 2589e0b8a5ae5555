package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/pailfs/pailfs/mountopts"
	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/open"
)

// storeCheck tries what a mount does to a store, on objects of its own.
type storeCheck struct {
	s     objstore.Store
	o     *mountopts.Options
	dir   string // prefix of the objects
	found []finding
}

var doctorContent = []byte("pailfs doctor was here for a moment\n")

func checkStore(ctx context.Context, s objstore.Store, o *mountopts.Options) []finding {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	c := &storeCheck{s: s, o: o, dir: ".pailfs/doctor-" + strings.ToLower(rand.Text()[:12]) + "/"}
	c.found = append(c.found, finding{"connect", good, o.FsName() + " answers, and may be listed", ""})
	if o.ReadOnly {
		c.readOnly(ctx)
		return c.found
	}
	defer c.clean(context.WithoutCancel(ctx))
	if obj, ok := c.put(ctx); ok {
		c.get(ctx, obj)
		c.conditions(ctx, obj)
		c.copies(ctx, obj)
		c.parts(ctx)
		c.deletes(ctx, obj)
	}
	return c.found
}

// try adds the finding of one right.
func (c *storeCheck) try(check, does string, err error) bool {
	if err != nil {
		c.found = append(c.found, finding{check, bad, c.o.Scrub(err.Error()), "give the credentials the right to " + does})
		return false
	}
	c.found = append(c.found, finding{check, good, "may " + does, ""})
	return true
}

func (c *storeCheck) add(check, result, detail, do string) {
	c.found = append(c.found, finding{check, result, detail, do})
}

// readOnly reads the first object there is.
func (c *storeCheck) readOnly(ctx context.Context) {
	for o, err := range objstore.ListAll(ctx, c.s, objstore.ListRequest{Max: 100}) {
		if err != nil {
			c.try("list", "list objects", err)
			return
		}
		if strings.HasSuffix(o.Key, "/") {
			continue
		}
		body, _, err := c.s.Get(ctx, o.Key, objstore.Range{Len: min(o.Size, 1)}, objstore.Cond{Version: o.Version})
		if err == nil {
			body.Close()
		}
		c.try("get", "read objects", err)
		return
	}
	c.add("get", skip, "there is no object to read", "")
}

func (c *storeCheck) section() *io.SectionReader {
	return io.NewSectionReader(bytes.NewReader(doctorContent), 0, int64(len(doctorContent)))
}

// Clocks that differ by more than 15 minutes make Amazon refuse signatures
// (RequestTimeTooSkewed); the same or less is usual elsewhere.
const (
	skewBad  = 10 * time.Minute
	skewWarn = time.Minute
)

func (c *storeCheck) put(ctx context.Context) (objstore.Object, bool) {
	begun := time.Now()
	o, err := c.s.Put(ctx, c.dir+"a", c.section(), objstore.PutOptions{Metadata: map[string]string{"mtime": "1"}})
	took := time.Since(begun)
	if !c.try("put", "write objects", err) {
		return o, false
	}
	if stat, err := c.s.Stat(ctx, o.Key); c.try("stat", "look at objects", err) {
		if stat.Metadata["mtime"] != "1" {
			c.add("metadata", bad, "metadata that were written are not there", "modes, owners and times would be lost: use another store")
		}
		skew := stat.ModTime.Sub(begun.Add(took / 2)).Round(time.Second)
		switch away := max(skew.Abs()-took, 0); {
		case away > skewBad:
			c.add("clock", bad, fmt.Sprintf("differs from the store's by %s", skew), "set the clock: timedatectl set-ntp true")
		case away > skewWarn:
			c.add("clock", warn, fmt.Sprintf("differs from the store's by %s", skew), "set the clock: timedatectl set-ntp true")
		default:
			c.add("clock", good, "is that of the store, or near it", "")
		}
	}
	return o, true
}

func (c *storeCheck) get(ctx context.Context, o objstore.Object) {
	body, _, err := c.s.Get(ctx, o.Key, objstore.All, objstore.Cond{Version: o.Version})
	var got []byte
	if err == nil {
		got, err = io.ReadAll(body)
		body.Close()
	}
	if c.try("get", "read objects", err) && !bytes.Equal(got, doctorContent) {
		c.add("content", bad, "what was read is not what was written", "use another store")
	}
}

// conditions tries two writes that must fail.
func (c *storeCheck) conditions(ctx context.Context, o objstore.Object) {
	_, absent := c.s.Put(ctx, o.Key, c.section(), objstore.PutOptions{Cond: objstore.Cond{Absent: true}})
	_, other := c.s.Put(ctx, o.Key, c.section(), objstore.PutOptions{Cond: objstore.Cond{Version: o.Version + "0"}})
	const lost = "two machines that write one file at the same moment could overwrite each other: pailfs looks just before it writes, and no more can be done there"
	switch caps := c.s.Caps(); {
	case errors.Is(absent, objstore.ErrCond) && (errors.Is(other, objstore.ErrCond) || errors.Is(other, objstore.ErrOther)) && caps.CondPut:
		c.add("conditional writes", good, "are honoured", "")
	case absent == nil || other == nil:
		c.add("conditional writes", warn, "are ignored", lost)
	default:
		c.add("conditional writes", warn, "are not offered", lost)
	}
}

func (c *storeCheck) copies(ctx context.Context, o objstore.Object) {
	_, err := c.s.Copy(ctx, c.dir+"b", o.Key, objstore.CopyOptions{})
	c.try("copy", "copy objects inside the store", err)
}

func (c *storeCheck) parts(ctx context.Context) {
	up, err := c.s.NewUpload(ctx, c.dir+"c", objstore.PutOptions{})
	if err == nil {
		err = up.PutPart(ctx, 1, c.section())
		if err == nil {
			_, err = up.Commit(ctx, 1)
		}
		if err != nil {
			err = errors.Join(err, up.Abort(ctx))
		}
	}
	c.try("upload by parts", "write objects by parts", err)
	up, err = c.s.NewUpload(ctx, c.dir+"d", objstore.PutOptions{})
	if err == nil {
		err = errors.Join(up.PutPart(ctx, 1, c.section()), up.Abort(ctx))
	}
	c.try("abort", "abort uploads", err)
}

func (c *storeCheck) deletes(ctx context.Context, o objstore.Object) {
	err := c.s.Delete(ctx, o.Key, objstore.Cond{})
	if c.try("delete", "delete objects", err) {
		if _, err := c.s.Stat(ctx, o.Key); !errors.Is(err, objstore.ErrNotFound) {
			c.add("delete", bad, fmt.Sprintf("an object that was deleted is still there (%v)", err), "use another store")
		}
	}
}

func (c *storeCheck) clean(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for _, name := range []string{"a", "b", "c", "d"} {
		if err := c.s.Delete(ctx, c.dir+name, objstore.Cond{}); err != nil {
			c.add("clean up", warn, fmt.Sprintf("%s may stay behind: %v", c.dir+name, err), "delete it")
			return
		}
	}
}

// describeBucket says how the bucket is set up, as far as the provider tells.
func describeBucket(ctx context.Context, o *mountopts.Options) []finding {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	set, err := open.Describe(ctx, o.URL(), open.Options{ReadOnly: true, ConnectTimeout: o.ConnectTimeout})
	if err != nil {
		return []finding{{"bucket", skip, "its settings cannot be read: " + o.Scrub(err.Error()), ""}}
	}
	var found []finding
	tell := func(check, value, on, do string) {
		f := finding{check, good, value, ""}
		switch value {
		case "":
			f.Result, f.Detail = skip, "the store does not say"
		case on:
		default:
			f.Do = do
		}
		found = append(found, f)
	}
	tell("versioning", set.Versioning, "on", "with versioning on, what is overwritten or deleted can be got back")
	tell("object lock", set.ObjectLock, "on", "with object lock on, nobody can delete backups before their time")
	tell("unfinished uploads", set.AbortRule, "on", "a lifecycle rule that aborts unfinished uploads after a week costs nothing, and saves what a machine that never comes back began")
	return found
}
