package cache

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// BlockSize is the unit of the cache, in bytes.
const BlockSize = 128 << 10

const (
	magic      = "pailfs\x00\x01"
	headerSize = 4096 // the entries begin here
	entrySize  = 8
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	errSidecar = errors.New("not a sidecar of the block cache")
)

// header is the beginning of a sidecar: what the blocks beside it are of.
//
//	magic         8 bytes
//	block size    4 bytes, little-endian as all numbers
//	object size   8
//	3 strings     4 bytes of length each, then the bytes: store, key, version
//	CRC32C        4, of all before
//
// The entries begin at headerSize, one for each block, in order; zeros say that
// the block is not there. See entry.
type header struct {
	store, key, version string
	size                int64
}

// encode returns the header and its checksum; ok is false if it is too long.
func (h header) encode() (b []byte, sum uint32, ok bool) {
	b = append(b, magic...)
	b = binary.LittleEndian.AppendUint32(b, BlockSize)
	b = binary.LittleEndian.AppendUint64(b, uint64(h.size))
	for _, s := range []string{h.store, h.key, h.version} {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	sum = crc32.Checksum(b, castagnoli)
	b = binary.LittleEndian.AppendUint32(b, sum)
	return b, sum, len(b) <= headerSize
}

// parseHeader reads what encode wrote. b may be longer.
func parseHeader(b []byte) (h header, sum uint32, err error) {
	r := reader{b: b}
	if string(r.bytes(len(magic))) != magic || r.uint32() != BlockSize {
		return header{}, 0, errSidecar
	}
	h.size = int64(r.uint64())
	h.store = string(r.bytes(int(r.uint32())))
	h.key = string(r.bytes(int(r.uint32())))
	h.version = string(r.bytes(int(r.uint32())))
	n := r.at
	sum = r.uint32()
	if r.short || h.size < 0 || crc32.Checksum(b[:n], castagnoli) != sum {
		return header{}, 0, errSidecar
	}
	return h, sum, nil
}

// reader takes a slice apart; short is set once it had too little.
type reader struct {
	b     []byte
	at    int
	short bool
}

func (r *reader) bytes(n int) []byte {
	if r.short || n < 0 || n > len(r.b)-r.at {
		r.short = true
		return nil
	}
	r.at += n
	return r.b[r.at-n : r.at]
}

func (r *reader) uint32() uint32 {
	if b := r.bytes(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (r *reader) uint64() uint64 {
	if b := r.bytes(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// An entry is the CRC32C of a block, and a CRC32C over that, the number of the
// block and the checksum of the header, so that one that was damaged, or that
// belongs elsewhere, is not believed.
func putEntry(b []byte, header uint32, block int64, sum uint32) {
	binary.LittleEndian.PutUint32(b, sum)
	binary.LittleEndian.PutUint32(b[4:], entryCheck(header, block, sum))
}

type entryState int

const (
	absent entryState = iota
	present
	damaged
)

func parseEntry(b []byte, header uint32, block int64) (sum uint32, state entryState) {
	sum, check := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
	switch {
	case sum == 0 && check == 0:
		return 0, absent
	case check != entryCheck(header, block, sum):
		return 0, damaged
	}
	return sum, present
}

func entryCheck(header uint32, block int64, sum uint32) uint32 {
	var b [16]byte
	binary.LittleEndian.PutUint32(b[:], header)
	binary.LittleEndian.PutUint64(b[4:], uint64(block))
	binary.LittleEndian.PutUint32(b[12:], sum)
	if c := crc32.Checksum(b[:], castagnoli); c != 0 {
		return c
	}
	return 1 // so that an entry is never all zeros
}

// blocks is how many blocks an object of size bytes has.
func blocks(size int64) int64 { return (size + BlockSize - 1) / BlockSize }

// blockLen is the length of one block of an object of size bytes.
func blockLen(size, block int64) int {
	return int(min(BlockSize, size-block*BlockSize))
}
