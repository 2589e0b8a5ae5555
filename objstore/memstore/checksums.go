package memstore

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
	"hash/crc64"

	"github.com/pailfs/pailfs/objstore"
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	nvme       = crc64.MakeTable(0x9a6c9329ac4bc9b5) // CRC-64/NVME, reversed polynomial
)

// checksums computes those of buf and compares them with the expected ones.
// CRC64NVME, which has no fast code here, is computed only where expected.
func checksums(op, key string, buf []byte, want objstore.Checksums) (objstore.Checksums, error) {
	sha, md := sha256.Sum256(buf), md5.Sum(buf)
	got := objstore.Checksums{
		SHA256: sha[:], MD5: md[:],
		CRC32C: binary.BigEndian.AppendUint32(nil, crc32.Checksum(buf, castagnoli)),
	}
	if want.CRC64NVME != nil {
		got.CRC64NVME = binary.BigEndian.AppendUint64(nil, crc64.Checksum(buf, nvme))
	}
	for _, c := range []struct {
		name      string
		want, got []byte
	}{
		{"SHA-256", want.SHA256, got.SHA256}, {"MD5", want.MD5, got.MD5},
		{"CRC32C", want.CRC32C, got.CRC32C}, {"CRC64NVME", want.CRC64NVME, got.CRC64NVME},
	} {
		if c.want != nil && !bytes.Equal(c.want, c.got) {
			return got, fail(op, key, objstore.ErrChecksum, "%s is %x, expected %x", c.name, c.got, c.want)
		}
	}
	return got, nil
}
