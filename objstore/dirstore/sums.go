package dirstore

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"

	"github.com/pailfs/pailfs/objstore"
)

// run is the most bytes under one SHA-256: little enough that a part copied
// from the middle of an object costs no long read, enough for a short list.
const run = 16 << 20

// sum is the SHA-256 of some bytes in a row; nil where nobody computed it.
type sum struct {
	size int64
	sha  []byte
}

// summer computes the sums of what is written to it.
type summer struct {
	h    hash.Hash
	n    int64
	sums []sum
}

func newSummer() *summer { return &summer{h: sha256.New()} }

func (w *summer) Write(p []byte) (int, error) {
	all := len(p)
	for len(p) > 0 {
		n := min(int64(len(p)), run-w.n)
		w.h.Write(p[:n])
		p = p[n:]
		if w.n += n; w.n == run {
			w.flush()
		}
	}
	return all, nil
}

func (w *summer) flush() {
	if w.n > 0 {
		w.sums = append(w.sums, sum{w.n, w.h.Sum(nil)})
		w.h.Reset()
		w.n = 0
	}
}

func (w *summer) finish() []sum {
	w.flush()
	return w.sums
}

// wholeSHA is the SHA-256 of an object with these sums, nil where it does not
// follow from them.
func wholeSHA(sums []sum) []byte {
	switch len(sums) {
	case 0:
		empty := sha256.Sum256(nil)
		return empty[:]
	case 1:
		return sums[0].sha
	}
	return nil
}

// expected checks what is written to it against the checksums that a caller
// gave for a whole object.
type expected struct {
	hashes []hash.Hash
	want   [][]byte
	names  []string
}

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	nvme       = crc64.MakeTable(0x9a6c9329ac4bc9b5) // CRC-64/NVME, reversed polynomial
)

func expect(c objstore.Checksums) *expected {
	e := &expected{}
	add := func(name string, want []byte, h func() hash.Hash) {
		if want != nil {
			e.hashes, e.want, e.names = append(e.hashes, h()), append(e.want, want), append(e.names, name)
		}
	}
	add("SHA-256", c.SHA256, sha256.New)
	add("MD5", c.MD5, md5.New)
	add("CRC32C", c.CRC32C, func() hash.Hash { return crc32.New(castagnoli) })
	add("CRC64NVME", c.CRC64NVME, func() hash.Hash { return crc64.New(nvme) })
	return e
}

func (e *expected) Write(p []byte) (int, error) {
	for _, h := range e.hashes {
		h.Write(p)
	}
	return len(p), nil
}

func (e *expected) check(op, key string) error {
	for i, h := range e.hashes {
		if got := h.Sum(nil); string(got) != string(e.want[i]) {
			return fail(op, key, objstore.ErrChecksum, "%s is %x, expected %x", e.names[i], got, e.want[i])
		}
	}
	return nil
}

// sumsOf gives the sums of a range of a file whose own sums are known, or none
// where they are not. Runs that the range holds only in part are read and
// checked.
func sumsOf(ctx context.Context, key string, file io.ReaderAt, sums []sum, off, size int64) ([]sum, error) {
	if len(sums) == 0 {
		return []sum{{size: size}}, nil
	}
	var out []sum
	var start int64
	for _, one := range sums {
		from, to := max(off, start), min(off+size, start+one.size)
		switch {
		case from >= to:
		case one.sha == nil || to-from == one.size:
			out = append(out, sum{to - from, one.sha})
		default:
			part, err := cutSum(ctx, key, file, one, start, from, to)
			if err != nil {
				return nil, err
			}
			out = append(out, part)
		}
		start += one.size
	}
	return out, nil
}

// cutSum gives the sum of the bytes from..to of the run that begins at start.
func cutSum(ctx context.Context, key string, file io.ReaderAt, one sum, start, from, to int64) (sum, error) {
	all, part := sha256.New(), sha256.New()
	for _, piece := range []struct {
		off, end int64
		w        io.Writer
	}{{start, from, all}, {from, to, io.MultiWriter(all, part)}, {to, start + one.size, all}} {
		if err := ctx.Err(); err != nil {
			return sum{}, err
		}
		n, err := io.Copy(piece.w, io.NewSectionReader(file, piece.off, piece.end-piece.off))
		if err == nil && n != piece.end-piece.off {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return sum{}, err
		}
	}
	if string(all.Sum(nil)) != string(one.sha) {
		return sum{}, badSum(key, start, one.size)
	}
	return sum{to - from, part.Sum(nil)}, nil
}

func badSum(key string, off, size int64) error {
	return fail("get", key, objstore.ErrChecksum, "the SHA-256 of the %d bytes at %d is not what was written", size, off)
}

// foldSums writes sums as text: a size and a SHA-256, or "-", on each line.
func foldSums(w io.Writer, sums []sum) {
	for _, one := range sums {
		if one.sha == nil {
			fmt.Fprintf(w, "%d -\n", one.size)
		} else {
			fmt.Fprintf(w, "%d %x\n", one.size, one.sha)
		}
	}
}

// unfoldSums reads what foldSums wrote, for an object of size bytes.
func unfoldSums(r io.Reader, size int64) ([]sum, error) {
	var sums []sum
	for size > 0 {
		var one sum
		var hex string
		if _, err := fmt.Fscanf(r, "%d %s\n", &one.size, &hex); err != nil {
			return nil, fmt.Errorf("sidecar: %w", err)
		}
		if hex != "-" {
			if _, err := fmt.Sscanf(hex, "%x", &one.sha); err != nil || len(one.sha) != sha256.Size {
				return nil, errors.New("sidecar: not a SHA-256")
			}
		}
		if one.size <= 0 || one.size > size {
			return nil, errors.New("sidecar: sizes do not add up")
		}
		sums = append(sums, one)
		size -= one.size
	}
	return sums, nil
}

// crcOf is the checksum by which a sidecar knows that it is whole.
func crcOf(b []byte) string {
	return fmt.Sprintf("%x", binary.BigEndian.AppendUint32(nil, crc32.Checksum(b, castagnoli)))
}
