package cache

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"
)

var (
	errEntry = errors.New("the checksum of an entry differs")
	errBlock = errors.New("the checksum of a block differs")
)

// pair are the two files of one version, open. The nil pair has nothing.
type pair struct {
	d         *disk
	name      string // without .data and .sum
	size      int64  // of the object
	header    uint32 // checksum of the header
	data, sum *os.File
	bad       atomic.Bool // nothing in it is believed any more
}

func (d *disk) path(key, version string) string {
	h := sha256.New()
	for _, s := range []string{d.store, key, version} {
		io.WriteString(h, s)
		h.Write([]byte{0})
	}
	name := hex.EncodeToString(h.Sum(nil)[:16])
	return filepath.Join(d.dir, blocksDir, name[:2], name[2:])
}

// open opens the files of a version; nil if there are none, or none that can be
// believed: those are removed.
func (d *disk) open(key, version string) *pair {
	name := d.path(key, version)
	sum, err := os.OpenFile(name+sumExt, os.O_RDWR, 0)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			d.fail(err)
		}
		return nil
	}
	p := &pair{d: d, name: name, sum: sum}
	b := make([]byte, headerSize)
	n, _ := sum.ReadAt(b, 0)
	h, headerSum, err := parseHeader(b[:n])
	if err == nil && (h.store != d.store || h.key != key || h.version != version) {
		err = errSidecar
	}
	if err == nil {
		p.data, err = os.OpenFile(name+dataExt, os.O_RDWR, 0)
	}
	if err != nil {
		d.corrupt(key, err)
		p.drop()
		p.close()
		return nil
	}
	p.size, p.header = h.size, headerSum
	d.use(sum)
	return p
}

// create opens the files of a version, making those that are not there.
func (d *disk) create(key, version string, size int64) (*pair, error) {
	if p := d.open(key, version); p != nil {
		return p, nil
	}
	b, _, ok := header{d.store, key, version, size}.encode()
	if !ok {
		return nil, nil
	}
	name := d.path(key, version)
	if err := os.Mkdir(filepath.Dir(name), 0700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	data, err := os.OpenFile(name+dataExt, os.O_RDWR|os.O_CREATE, 0600)
	if err != nil {
		return nil, err
	}
	data.Close()
	// The sidecar appears with its whole header. Another mount may be first.
	temp := name + "." + rand.Text() + tempExt
	if err := os.WriteFile(temp, b, 0600); err != nil {
		os.Remove(temp)
		return nil, err
	}
	defer os.Remove(temp)
	if err := os.Link(temp, name+sumExt); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return d.open(key, version), nil
}

func (p *pair) close() {
	if p == nil {
		return
	}
	p.sum.Close()
	if p.data != nil {
		p.data.Close()
	}
}

// drop removes the files. The data go first: without them the sidecar says
// what is not there, which is found out; the other way round new checksums
// could meet old bytes.
func (p *pair) drop() {
	p.bad.Store(true)
	os.Remove(p.name + dataExt)
	os.Remove(p.name + sumExt)
}

// presence says which of the n blocks from first on are there.
func (p *pair) presence(first, n int64) []bool {
	have := make([]bool, n)
	if p == nil || p.bad.Load() {
		return have
	}
	b := make([]byte, n*entrySize)
	got, _ := p.sum.ReadAt(b, headerSize+first*entrySize)
	for i := range int64(got / entrySize) {
		switch _, state := parseEntry(b[i*entrySize:], p.header, first+i); state {
		case present:
			have[i] = true
		case damaged:
			p.d.corrupt(p.name, errEntry)
			p.clear(first + i)
		}
	}
	return have
}

// gone reports that the files were removed: what is written there is lost.
func (p *pair) gone() bool {
	var st syscall.Stat_t
	return p.bad.Load() || syscall.Fstat(int(p.sum.Fd()), &st) != nil || st.Nlink == 0
}

// read reads a whole block into b, which must have its length, and reports
// whether it is what was stored.
func (p *pair) read(block int64, b []byte) bool {
	if p == nil || p.bad.Load() {
		return false
	}
	var e [entrySize]byte
	if n, _ := p.sum.ReadAt(e[:], headerSize+block*entrySize); n < entrySize {
		return false
	}
	sum, state := parseEntry(e[:], p.header, block)
	err := errEntry
	switch state {
	case absent:
		return false
	case present:
		var n int
		n, err = p.data.ReadAt(b, block*BlockSize)
		if n == len(b) && crc32.Checksum(b, castagnoli) == sum {
			return true
		}
		if n == len(b) || err == io.EOF {
			err = errBlock
		}
	}
	p.d.corrupt(p.name, err)
	p.clear(block)
	return false
}

// clear forgets a block.
func (p *pair) clear(block int64) {
	if _, err := p.sum.WriteAt(make([]byte, entrySize), headerSize+block*entrySize); err != nil {
		p.drop()
	}
}

// write stores a block.
func (p *pair) write(block int64, b []byte) error {
	if p.bad.Load() || len(b) != blockLen(p.size, block) {
		return nil
	}
	if _, err := p.data.WriteAt(b, block*BlockSize); err != nil {
		return err
	}
	var e [entrySize]byte
	putEntry(e[:], p.header, block, crc32.Checksum(b, castagnoli))
	_, err := p.sum.WriteAt(e[:], headerSize+block*entrySize)
	return err
}

// use marks an entry as used now, for eviction: by the time of its sidecar, so
// that it is known after a restart and to other mounts.
func (d *disk) use(f *os.File) {
	var st syscall.Stat_t
	if syscall.Fstat(int(f.Fd()), &st) != nil {
		return
	}
	now := time.Now()
	if now.Sub(time.Unix(st.Mtim.Unix())) > usedAfter {
		t := syscall.NsecToTimeval(now.UnixNano())
		_ = syscall.Futimes(int(f.Fd()), []syscall.Timeval{t, t}) // it is evicted too early at worst
	}
}
