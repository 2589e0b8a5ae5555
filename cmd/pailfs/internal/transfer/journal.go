package transfer

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"sync"

	"github.com/pailfs/pailfs/objstore"
	"golang.org/x/sys/unix"
)

// journalSuffix is that of the file that tells which parts of a part file are
// there: a line of JSON with the object, then one for each part, "number crc32c".
const journalSuffix = PartSuffix + "s"

// journalHead says what is fetched. The parts of another object are of no use.
type journalHead struct {
	Source, Key, Version string
	Size, Part           int64 // bytes of all and of a part
}

// journal is a part file and what is known of it.
type journal struct {
	head journalHead
	data *os.File
	log  *os.File

	mu   sync.Mutex // guards sums, and appends to log
	sums map[int]uint32
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// openJournal opens the part file of a name, or begins it anew where it is of
// another object.
func (l *Local) openJournal(name string, head journalHead) (*journal, error) {
	log, err := l.lockLog(name + journalSuffix)
	if err != nil {
		return nil, err
	}
	data, err := l.Root.OpenFile(name+PartSuffix, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		log.Close()
		return nil, err
	}
	j := &journal{head: head, data: data, log: log, sums: map[int]uint32{}}
	if !j.load() {
		err = j.begin()
	}
	if err != nil {
		j.close()
		return nil, err
	}
	return j, nil
}

// lockLog opens the file of a journal for this process alone.
func (l *Local) lockLog(name string) (*os.File, error) {
	for {
		log, err := l.Root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return nil, err
		}
		if err := unix.Flock(int(log.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			log.Close()
			return nil, fmt.Errorf("another process is copying to the same file: %w", err)
		}
		// The copy before us may have removed the file between our open and our lock.
		mine, err := log.Stat()
		if err != nil {
			log.Close()
			return nil, err
		}
		if now, err := l.Root.Stat(name); err == nil && os.SameFile(mine, now) {
			return log, nil
		}
		log.Close()
	}
}

func (j *journal) close() {
	j.data.Close()
	j.log.Close()
}

// load reads the journal and says whether it is of this object. What a line says
// that was not written to its end, the sum of the part tells apart.
func (j *journal) load() bool {
	lines := bufio.NewScanner(j.log)
	lines.Buffer(nil, 1<<20)
	var head journalHead
	if !lines.Scan() || json.Unmarshal(lines.Bytes(), &head) != nil || head != j.head {
		return false
	}
	for lines.Scan() {
		var n int
		var sum uint32
		if _, err := fmt.Sscanf(lines.Text(), "%d %x", &n, &sum); err == nil {
			j.sums[n] = sum
		}
	}
	// A torn line must not swallow the next one.
	_, err := j.log.WriteString("\n")
	return err == nil
}

func (j *journal) begin() error {
	line, err := json.Marshal(j.head)
	if err == nil {
		err = errors.Join(j.data.Truncate(0), j.log.Truncate(0), j.data.Truncate(j.head.Size))
	}
	if err == nil {
		_, err = j.log.Write(append(line, '\n'))
	}
	return err
}

func (j *journal) parts() int { return int((j.head.Size + j.head.Part - 1) / j.head.Part) }

// extent is where part n, counted from 0, begins, and its size.
func (j *journal) extent(n int) (off, size int64) {
	off = int64(n) * j.head.Part
	return off, min(j.head.Part, j.head.Size-off)
}

// has reads part n back and says whether it is what was written: the journal may
// have reached the disk before it.
func (j *journal) has(n int) bool {
	j.mu.Lock()
	want, ok := j.sums[n]
	j.mu.Unlock()
	if !ok {
		return false
	}
	off, size := j.extent(n)
	sum := crc32.New(castagnoli)
	got, err := io.Copy(sum, io.NewSectionReader(j.data, off, size))
	return err == nil && got == size && sum.Sum32() == want
}

func (j *journal) write(n int, body *io.SectionReader) error {
	off, _ := j.extent(n)
	sum := crc32.New(castagnoli)
	if _, err := io.Copy(io.NewOffsetWriter(j.data, off), io.TeeReader(body, sum)); err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	_, err := fmt.Fprintf(j.log, "%d %08x\n", n, sum.Sum32())
	return err
}

// check compares the whole file with the checksums of the object and brings it to
// the disk. After a mismatch nothing of it is used again.
func (j *journal) check(l *Local, want objstore.Checksums) error {
	if err := l.Check(io.NewSectionReader(j.data, 0, j.head.Size), want); err != nil {
		return errors.Join(&objstore.Error{Op: "copy", Key: j.head.Key, Kind: objstore.ErrChecksum, Err: err}, j.log.Truncate(0))
	}
	return j.data.Sync()
}
