// Package journal keeps on the local disk, safe from a crash, what was written to
// files whose upload is still to come: for each a record of the bytes and of where
// they belong.
//
// The journal is a directory of segments, files that are written from their
// beginning to their end and used again when nothing in them is needed. A record is
// appended, and one fdatasync covers its bytes and all that is appended meanwhile.
// Segments are filled with zeros ahead, so that the fdatasync has no metadata of the
// file system to write. A record that is done is marked so in its place, so segments
// do not depend on each other.
//
// What a crash leaves of a record that was not on the disk yet is not believed, and
// was never acknowledged. A record that was on the disk and has changed since is
// damage: it is told, and its segment is kept.
package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ErrFull: the journal has reached its limit, or the disk is nearly full.
var ErrFull = errors.New("the journal is full")

// ErrLocked: another process has the journal.
var ErrLocked = errors.New("the journal belongs to another process")

// Options of a journal. The zero value of a field is its default.
type Options struct {
	Limit   int64 // bytes that all segments together may take; 1 GiB
	Free    int64 // bytes that must stay free on the disk; 64 MiB
	Segment int64 // bytes of one segment; 64 MiB
}

// Record says where the bytes of a file belong.
type Record struct {
	ID           string            // of the write, which the object will carry
	Key          string            // of the object
	Version      string            // that the object has; "" when there is none
	ContentType  string            `json:",omitempty"`
	StorageClass string            `json:",omitempty"`
	Metadata     map[string]string // of the object
	At           time.Time         // when the file was closed
}

// Entry is a record that is not done.
type Entry struct {
	Record
	Size int64 // bytes of the file

	j    *Journal
	seg  *segment
	seq  uint64
	head int64 // where the record begins
	data int64 // where the bytes begin
	sum  uint32
	done bool // guarded by j.mu
	kept string
}

// Damage is a record that was on the disk and cannot be read any more.
type Damage struct {
	Path string // of the segment
	Off  int64  // where it is, in bytes
	Key  string // "" where that is not known
}

func (d Damage) Error() string {
	return fmt.Sprintf("a record of the journal is damaged, at byte %d of %s", d.Off, d.Path)
}

// Journal is the open journal of one process. Its methods may be called by many.
type Journal struct {
	opt  Options
	dir  string
	lock *os.File

	found   []*Entry
	damaged []Damage

	mu      sync.Mutex
	moved   *sync.Cond // synced, syncing or broken changed
	cur     *segment   // that records are appended to; nil at first
	segs    []*segment // all, those that are not needed too
	seq     uint64     // of the last record
	synced  uint64     // records up to here are on the disk
	syncing bool
	broken  error // the disk failed: nothing more is appended
}

// Open opens the journal in dir, which is made if need be (0700), and reads what is
// there: see Entries and Damaged. It is ErrLocked while another process has it open.
func Open(dir string, opt Options) (*Journal, error) {
	def := func(p *int64, v int64) {
		if *p == 0 {
			*p = v
		}
	}
	def(&opt.Limit, 1<<30)
	def(&opt.Free, 64<<20)
	def(&opt.Segment, 64<<20)
	if err := os.MkdirAll(dir, 0700); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = ErrLocked
		}
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	j := &Journal{opt: opt, dir: dir, lock: lock}
	j.moved = sync.NewCond(&j.mu)
	if err := j.load(); err != nil {
		j.closeFiles()
		return nil, err
	}
	return j, nil
}

// Exists reports whether a process has left anything in dir.
func Exists(dir string) bool {
	names, _ := filepath.Glob(filepath.Join(dir, "*"+suffix))
	return len(names) > 0
}

func (j *Journal) load() error {
	names, err := filepath.Glob(filepath.Join(j.dir, "*"+suffix))
	if err != nil {
		return err
	}
	var all []scanned
	durable := uint64(0)
	for _, name := range names {
		s, err := openSegment(name)
		if err != nil {
			return err
		}
		sc, err := s.scan()
		if err != nil {
			s.file.Close()
			return err
		}
		j.segs = append(j.segs, s)
		all = append(all, sc)
		durable = max(durable, sc.durable)
		j.seq = max(j.seq, sc.last)
	}
	j.synced = j.seq
	for i, sc := range all {
		s := j.segs[i]
		for _, e := range sc.entries {
			e.j, e.seg = j, s
			if _, err := os.Lstat(e.keptPath()); err == nil {
				e.kept = e.keptPath()
			}
			s.live++
			j.found = append(j.found, e)
		}
		for _, b := range sc.bad {
			if b.seq <= durable {
				s.damaged = true
				j.damaged = append(j.damaged, Damage{Path: s.path() + damagedSuffix, Off: b.off, Key: b.key})
			}
		}
	}
	slices.SortFunc(j.found, func(a, b *Entry) int { return int(int64(a.seq - b.seq)) })
	for _, s := range slices.Clone(j.segs) {
		if err := j.retire(s); err != nil {
			return err
		}
	}
	return nil
}

// Entries are what was found when the journal was opened, the oldest first.
func (j *Journal) Entries() []*Entry { return j.found }

// Damaged is what of it cannot be read. The segments are kept, under Path once
// nothing else in them is needed.
func (j *Journal) Damaged() []Damage { return j.damaged }

// Append returns when the record and the bytes are on the disk. After an error
// they are not in the journal.
func (j *Journal) Append(r Record, data []byte) (*Entry, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	e, err := j.write(r, data)
	if err != nil {
		return nil, err
	}
	for j.synced < e.seq {
		switch {
		case j.broken != nil:
			e.done = true
			e.seg.live--
			_ = e.mark() // if the disk takes it
			return nil, j.broken
		case j.syncing:
			j.moved.Wait()
		default:
			j.syncing = true
			s, upTo := j.cur, j.seq
			s.marked = false
			j.mu.Unlock()
			err := unix.Fdatasync(int(s.file.Fd()))
			j.mu.Lock()
			j.syncing = false
			if err != nil {
				// What a failed fsync leaves in the page cache nobody knows.
				j.broken = fmt.Errorf("fdatasync %s: %w", s.path(), err)
			} else {
				j.synced = max(j.synced, upTo)
			}
			j.moved.Broadcast()
		}
	}
	return e, nil
}

// write appends a record to the current segment. j.mu must be held.
func (j *Journal) write(r Record, data []byte) (*Entry, error) {
	if j.broken != nil {
		return nil, j.broken
	}
	meta, err := encode(r)
	if err != nil {
		return nil, err
	}
	size := recordSize(len(meta), len(data))
	if size > j.opt.Segment-headerSize {
		return nil, ErrFull
	}
	s, err := j.place(size)
	if err != nil {
		return nil, err
	}
	j.seq++
	b, sum := s.frame(j.seq, j.synced, meta, data, size)
	if _, err := s.file.WriteAt(b, s.end); err != nil {
		j.seq--
		return nil, err
	}
	e := &Entry{Record: r, Size: int64(len(data)), j: j, seg: s, seq: j.seq, head: s.end,
		data: s.end + recordHead + int64(len(meta)), sum: sum}
	s.end += size
	s.live++
	return e, nil
}

// place gives a segment with room for size bytes at its end.
func (j *Journal) place(size int64) (*segment, error) {
	s := j.cur
	for s != nil && (s.end+size > j.opt.Segment || s.live == 0 && s.end > rewindAt) {
		if j.syncing { // it is of this segment
			j.moved.Wait()
			if j.broken != nil {
				return nil, j.broken
			}
			s = j.cur
			continue
		}
		// What was appended last is not on the disk perhaps, and its writers wait.
		if err := unix.Fdatasync(int(s.file.Fd())); err != nil {
			j.broken = err
			j.moved.Broadcast()
			return nil, err
		}
		j.synced, s.marked = j.seq, false
		j.moved.Broadcast()
		j.cur = nil
		if err := j.retire(s); err != nil {
			return nil, err
		}
		s = nil
	}
	if s == nil {
		var err error
		if s, err = j.next(); err != nil {
			return nil, err
		}
		j.cur = s
	}
	return s, s.reserve(size, j.opt.Segment, j.opt.Free)
}

// next begins a segment: one that is not needed any more, or a new one.
func (j *Journal) next() (*segment, error) {
	for _, s := range j.segs {
		if s.live == 0 && !s.damaged {
			return s, s.begin()
		}
	}
	if int64(len(j.segs)+1)*j.opt.Segment > max(j.opt.Limit, j.opt.Segment) {
		return nil, ErrFull
	}
	s, err := newSegment(j.dir)
	if err != nil {
		return nil, err
	}
	j.segs = append(j.segs, s)
	return s, nil
}

// retire lets go of a segment in which nothing is live, but for one that is kept to
// be used again.
func (j *Journal) retire(s *segment) error {
	if s.live > 0 || s == j.cur {
		return nil
	}
	spare := func(o *segment) bool { return o != s && o != j.cur && o.live == 0 && !o.damaged }
	if !s.damaged && !slices.ContainsFunc(j.segs, spare) {
		return nil
	}
	j.segs = slices.DeleteFunc(j.segs, func(o *segment) bool { return o == s })
	return s.drop()
}

// Sync returns when no entry that is done can come back after a crash.
func (j *Journal) Sync() error {
	if j == nil {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, s := range slices.Clone(j.segs) {
		if !s.marked {
			continue
		}
		s.marked = false
		if err := unix.Fdatasync(int(s.file.Fd())); err != nil {
			s.marked = true
			return fmt.Errorf("fdatasync %s: %w", s.path(), err)
		}
	}
	return nil
}

// Close ends the use of the journal. Entries that are not done stay for the next
// process; without any the directory is left empty.
func (j *Journal) Close() error {
	if j == nil {
		return nil
	}
	err := j.Sync()
	j.mu.Lock()
	defer j.mu.Unlock()
	if err == nil {
		j.cur = nil
		for _, s := range slices.Clone(j.segs) {
			if s.live > 0 {
				continue
			}
			j.segs = slices.DeleteFunc(j.segs, func(o *segment) bool { return o == s })
			err = errors.Join(err, s.drop())
		}
	}
	j.broken = errors.New("the journal is closed")
	j.moved.Broadcast()
	return errors.Join(err, j.closeFiles())
}

func (j *Journal) closeFiles() error {
	var err error
	for _, s := range j.segs {
		err = errors.Join(err, s.file.Close())
	}
	j.segs = nil
	return errors.Join(err, j.lock.Close())
}

// safeName makes a file name of the last element of a key.
func safeName(id, key string) string {
	name := key[strings.LastIndexByte(key, '/')+1:]
	return fmt.Sprintf("%s-%.200s", id, name)
}
