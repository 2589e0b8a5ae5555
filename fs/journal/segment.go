package journal

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// A segment begins with a header: magic, epoch (8 bytes each), and their CRC32C. All
// after it that was written under another epoch is not believed: the zeros, or the
// records of an earlier use. A record begins at a multiple of 512 bytes:
//
//	 0  magic
//	 4  length of the JSON of the Record, then that of the bytes (8)
//	16  number of the record, from 1 on in the whole journal
//	24  number up to which all was on the disk when this was written
//	32  CRC32C of JSON and bytes
//	36  CRC32C of the epoch and of all before this
//	40  zeros, or the mark of what is done
//	64  the JSON, then the bytes
const (
	suffix        = ".journal"
	damagedSuffix = ".damaged"

	headerSize = 512
	align      = 512
	recordHead = 64
	doneAt     = 40

	growStep = 8 << 20 // bytes of zeros written ahead
	rewindAt = 4 << 20 // from here on a segment without use begins anew
)

var (
	segmentMagic = []byte("pailfsJ1")
	doneMark     = []byte("is done.")
	castagnoli   = crc32.MakeTable(crc32.Castagnoli)
	order        = binary.LittleEndian
)

const recordMagic = 0x4a52_6650

// segment is one file of the journal. Journal.mu guards it.
type segment struct {
	file    *os.File
	epoch   [8]byte
	end     int64 // of the records
	zeroed  int64 // as far as the file is written
	live    int   // records that are not done
	marked  bool  // a mark is not on the disk yet
	damaged bool  // must be kept
}

// jsonRecord is a Record whose key may be any bytes.
type jsonRecord struct {
	Record
	Key []byte
}

func encode(r Record) ([]byte, error) { return json.Marshal(jsonRecord{r, []byte(r.Key)}) }

func decode(b []byte) (Record, error) {
	var r jsonRecord
	err := json.Unmarshal(b, &r)
	r.Record.Key = string(r.Key)
	return r.Record, err
}

func recordSize(meta, data int) int64 {
	return (recordHead + int64(meta) + int64(data) + align - 1) / align * align
}

func (s *segment) path() string { return s.file.Name() }

func newSegment(dir string) (*segment, error) {
	name := filepath.Join(dir, strings.ToLower(rand.Text()[:16])+suffix)
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0600)
	if err != nil {
		return nil, err
	}
	s := &segment{file: f}
	err = s.begin()
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		os.Remove(name)
		f.Close()
		return nil, err
	}
	return s, nil
}

// begin makes the segment an empty one, on the disk too.
func (s *segment) begin() error {
	_, _ = rand.Read(s.epoch[:]) // never fails
	b := make([]byte, headerSize)
	copy(b, segmentMagic)
	copy(b[8:], s.epoch[:])
	order.PutUint32(b[16:], crc32.Checksum(b[:16], castagnoli))
	if _, err := s.file.WriteAt(b, 0); err != nil {
		return err
	}
	s.end, s.marked = headerSize, false
	s.zeroed = max(s.zeroed, headerSize)
	return unix.Fdatasync(int(s.file.Fd()))
}

// reserve makes sure that size bytes at the end of the records need no new space.
func (s *segment) reserve(size, limit, free int64) error {
	need := s.end + size
	if need <= s.zeroed {
		return nil
	}
	to := min(max(need, s.zeroed+growStep), max(need, limit))
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(s.file.Fd()), &st); err == nil && int64(st.Bavail)*st.Bsize-(to-s.zeroed) < free {
		return ErrFull
	}
	if _, err := s.file.WriteAt(make([]byte, to-s.zeroed), s.zeroed); err != nil {
		return err
	}
	s.zeroed = to
	return nil
}

// frame makes the bytes of a record.
func (s *segment) frame(seq, durable uint64, meta, data []byte, size int64) (b []byte, sum uint32) {
	b = make([]byte, size)
	order.PutUint32(b, recordMagic)
	order.PutUint32(b[4:], uint32(len(meta)))
	order.PutUint64(b[8:], uint64(len(data)))
	order.PutUint64(b[16:], seq)
	order.PutUint64(b[24:], durable)
	n := copy(b[recordHead:], meta)
	n += copy(b[recordHead+n:], data)
	sum = crc32.Checksum(b[recordHead:recordHead+n], castagnoli)
	order.PutUint32(b[32:], sum)
	order.PutUint32(b[36:], s.headSum(b))
	return b, sum
}

func (s *segment) headSum(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(s.epoch[:], castagnoli), castagnoli, b[:36])
}

// drop closes the segment and removes it, or puts it aside if it is damaged.
func (s *segment) drop() error {
	if s.marked { // a name that is removed may be there after a crash
		if err := unix.Fdatasync(int(s.file.Fd())); err != nil {
			return err
		}
	}
	var err error
	if s.damaged {
		err = os.Rename(s.path(), s.path()+damagedSuffix)
	} else {
		err = os.Remove(s.path())
	}
	s.file.Close()
	return err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func openSegment(name string) (*segment, error) {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	return &segment{file: f, zeroed: st.Size()}, nil
}

// scanned is what is in a segment.
type scanned struct {
	entries []*Entry // that are not done
	bad     []bad
	durable uint64 // the highest of them
	last    uint64 // the highest number
}

// bad is what cannot be read. It matters if all up to seq was on the disk.
type bad struct {
	off int64
	seq uint64
	key string
}

// scan reads the segment.
func (s *segment) scan() (scanned, error) {
	var out scanned
	head := make([]byte, headerSize)
	if _, err := s.file.ReadAt(head, 0); err != nil && err != io.EOF {
		return out, err
	}
	if !bytes.Equal(head[:8], segmentMagic) || order.Uint32(head[16:]) != crc32.Checksum(head[:16], castagnoli) {
		// One that was just being made has no records.
		s.damaged = s.zeroed > headerSize
		if s.damaged {
			out.bad = []bad{{}}
		}
		return out, nil
	}
	copy(s.epoch[:], head[8:16])
	s.end = headerSize
	for {
		r, ok, err := s.record(s.end)
		if err != nil {
			return out, err
		}
		if !ok {
			next, found, err := s.search(s.end + align)
			if err != nil || !found {
				return out, err
			}
			first, err := s.first(&out, next)
			if err != nil {
				return out, err
			}
			out.bad = append(out.bad, bad{off: s.end, seq: first})
			s.end = next
			continue
		}
		out.last = max(out.last, r.seq)
		if err := s.take(&out, r); err != nil {
			return out, err
		}
		s.end += r.size
	}
}

// header is the beginning of a record.
type header struct {
	meta, data, size int64
	seq, durable     uint64
	sum              uint32
	done             bool
}

// record reads the beginning of the record at off; ok is false where none is.
func (s *segment) record(off int64) (h header, ok bool, err error) {
	b := make([]byte, recordHead)
	if n, err := s.file.ReadAt(b, off); n < len(b) {
		if err == io.EOF {
			err = nil
		}
		return h, false, err
	}
	if order.Uint32(b) != recordMagic || order.Uint32(b[36:]) != s.headSum(b) {
		return h, false, nil
	}
	h = header{meta: int64(order.Uint32(b[4:])), data: int64(order.Uint64(b[8:])), seq: order.Uint64(b[16:]),
		durable: order.Uint64(b[24:]), sum: order.Uint32(b[32:]), done: bytes.Equal(b[doneAt:doneAt+8], doneMark)}
	if h.data < 0 || h.data > s.zeroed || off+recordHead+h.meta+h.data > s.zeroed {
		return h, false, nil
	}
	h.size = recordSize(int(h.meta), int(h.data))
	return h, true, nil
}

// search finds the next record from off on.
func (s *segment) search(off int64) (at int64, found bool, err error) {
	for ; off+recordHead <= s.zeroed; off += align {
		if _, ok, err := s.record(off); ok || err != nil {
			return off, ok, err
		}
	}
	return 0, false, nil
}

// first is the number of the first record of those that are missing before the one
// at next.
func (s *segment) first(out *scanned, next int64) (uint64, error) {
	if out.last > 0 {
		return out.last + 1, nil
	}
	h, _, err := s.record(next)
	return h.seq - 1, err
}

// take reads the record at s.end.
func (s *segment) take(out *scanned, h header) error {
	if h.done {
		out.durable = max(out.durable, h.durable)
		return nil
	}
	b := make([]byte, h.meta+h.data)
	if _, err := s.file.ReadAt(b, s.end+recordHead); err != nil {
		return fmt.Errorf("read %s: %w", s.path(), err)
	}
	r, err := decode(b[:h.meta])
	if crc32.Checksum(b, castagnoli) != h.sum || err != nil {
		out.bad = append(out.bad, bad{off: s.end, seq: h.seq, key: r.Key})
		return nil
	}
	out.durable = max(out.durable, h.durable)
	out.entries = append(out.entries, &Entry{Record: r, Size: h.data, seq: h.seq, head: s.end,
		data: s.end + recordHead + h.meta, sum: h.sum})
	return nil
}
