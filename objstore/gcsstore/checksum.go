package gcsstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/internal/wire"
)

var (
	// errChecksum is a body that is not what it should be.
	errChecksum = errors.New("the bytes do not have the checksum expected")

	// errBody is a body that cannot be read to its end.
	errBody = errors.New("read the body")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sum is the CRC32C of body, in one pass over it. It is sent before the bytes:
// the service refuses what does not match.
func sum(body *io.SectionReader, known objstore.Checksums) (uint32, error) {
	h := crc32.New(castagnoli)
	if err := wire.CopyAll(h, body); err != nil {
		return 0, fmt.Errorf("%w: %w", errBody, err)
	}
	if len(known.CRC32C) == crc32.Size && binary.BigEndian.Uint32(known.CRC32C) != h.Sum32() {
		return 0, errChecksum
	}
	return h.Sum32(), nil
}

// combine is the CRC32C of two runs of bytes, one after the other, of which the
// second has length n. CRCs are polynomials over GF(2): appending n bytes
// multiplies the first by x^8n (Adler's method in zlib's crc32_combine).
func combine(a, b uint32, n int64) uint32 {
	if n <= 0 {
		return a
	}
	p := uint32(1) << 31    // x^0, bits reflected
	base := uint32(1) << 23 // x^8
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			p = multiply(p, base)
		}
		base = multiply(base, base)
	}
	return multiply(p, a) ^ b
}

// multiply is a*b modulo the polynomial of CRC32C.
func multiply(a, b uint32) (p uint32) {
	for bit := uint32(1) << 31; bit != 0; bit >>= 1 {
		if a&bit != 0 {
			p ^= b
		}
		carry := b & 1
		b >>= 1
		if carry != 0 {
			b ^= crc32.Castagnoli
		}
	}
	return p
}

func bigEndian(crc uint32) []byte {
	return binary.BigEndian.AppendUint32(nil, crc)
}
