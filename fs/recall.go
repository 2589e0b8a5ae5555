package fs

import (
	"maps"
	"time"

	"github.com/pailfs/pailfs/objstore"
)

const (
	// unsettled is how long after it was changed the attributes of an object are
	// not remembered: times in listings are as coarse as a second, and a second
	// change within it would not show.
	unsettled = 2 * time.Second

	// recallDelay is how long what was learned may wait to be written to the
	// cache, so that a directory is written once and not for each of its files.
	recallDelay = 10 * time.Second
)

// recalled are the attributes of the objects in a directory, by name, as the
// store said when it was asked for each: the marker is "". They are those of a
// version and a time of change, so they are believed as long as a listing shows
// the same. Guarded by dir.mu.
type recalled struct {
	objects map[string]objstore.Object
	loaded  bool // what the cache directory has is in objects
}

// recalls reports whether there is a point in remembering: a listing that
// carries metadata tells all.
func (m *mount) recalls() bool { return !m.store.Caps().ListMetadata }

// recall fills in the metadata that a listing shows objects without, where they
// are known. It does not ask the store.
func (d *dir) recall(prefix string, objects []*objstore.Object) {
	if len(objects) == 0 || !d.m.recalls() {
		return
	}
	d.mu.Lock()
	loaded := d.recalled.loaded
	d.mu.Unlock()
	var old map[string]objstore.Object
	if !loaded {
		old = d.m.opt.Cache.Attrs(prefix)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.recalled.loaded {
		d.recalled.loaded = true
		if old == nil {
			old = map[string]objstore.Object{}
		}
		maps.Copy(old, d.recalled.objects)
		d.recalled.objects = old
	}
	for _, o := range objects {
		if known, ok := d.recalled.objects[o.Key[len(prefix):]]; ok && sameListed(*o, known) {
			known.Key = o.Key
			*o = known
		}
	}
}

// sameListed reports that a listing shows what an answer to Stat was about. A
// change of metadata alone may leave the version as it is, but not the time. The
// times of answers are in whole seconds.
func sameListed(listed, o objstore.Object) bool {
	return listed.Version == o.Version && listed.Size == o.Size &&
		listed.ModTime.Truncate(time.Second).Equal(o.ModTime.Truncate(time.Second))
}

// learn remembers what the store said of one object of the directory.
func (d *dir) learn(name string, o objstore.Object) {
	d.mu.Lock()
	if d.known != nil {
		if e, ok := d.known.entries[name]; ok && !e.isDir && !e.obj.MetadataKnown && sameListed(e.obj, o) {
			e.obj = o
			d.known.entries[name] = e
		}
	}
	d.mu.Unlock()
	if !o.MetadataKnown || o.Version == "" || time.Since(o.ModTime) < unsettled || !d.m.recalls() {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.recalled.objects == nil {
		d.recalled.objects = map[string]objstore.Object{}
	}
	if _, again := d.recalled.objects[name]; !again && len(d.recalled.objects) >= maxListing {
		return
	}
	d.recalled.objects[name] = o
	d.m.learned(d)
}

// prune forgets the names that a whole listing does not have. d.mu must be held.
func (r *recalled) prune(entries map[string]entry) {
	maps.DeleteFunc(r.objects, func(name string, _ objstore.Object) bool {
		e, ok := entries[name]
		return name != "" && (!ok || e.isDir)
	})
}

// learned makes sure that what d knows is written to the cache soon.
func (m *mount) learned(d *dir) {
	if !m.opt.Cache.Persistent() {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.toSave) == 0 {
		m.saving = time.AfterFunc(recallDelay, m.saveRecalled)
	}
	if m.toSave == nil {
		m.toSave = map[*dir]struct{}{}
	}
	m.toSave[d] = struct{}{}
}

// saveRecalled writes what was learned since the last time.
func (m *mount) saveRecalled() {
	m.mu.Lock()
	if m.saving != nil {
		m.saving.Stop()
	}
	dirs := m.toSave
	m.toSave = nil
	m.mu.Unlock()
	for d := range dirs {
		prefix := m.tree.prefix(d)
		d.mu.Lock()
		objects := maps.Clone(d.recalled.objects)
		d.mu.Unlock()
		m.opt.Cache.SaveAttrs(prefix, objects)
	}
}
