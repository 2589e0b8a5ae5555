package main

import (
	"bufio"
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"
	"os"
	"strings"

	"github.com/pailfs/pailfs/objstore"
)

// crc64NVME is the polynomial of S3's CRC64NVME, reflected ("Checking object
// integrity" in the S3 User Guide; NVM Command Set Specification, 5.2.1.3.4).
const crc64NVME = 0x9A6C9329AC4BC9B5

// hashes are all checksums that a provider may know, of the bytes written to it.
type hashes struct {
	io.Writer
	sha, md5, crc32c, crc64 hash.Hash
}

func newHashes() *hashes {
	h := &hashes{
		sha: sha256.New(), md5: md5.New(),
		crc32c: crc32.New(crc32.MakeTable(crc32.Castagnoli)), crc64: crc64.New(crc64.MakeTable(crc64NVME)),
	}
	h.Writer = io.MultiWriter(h.sha, h.md5, h.crc32c, h.crc64)
	return h
}

func (h *hashes) sha256() string { return hexOf(h.sha.Sum(nil)) }

// compare compares with the checksums that a provider has.
func (h *hashes) compare(known objstore.Checksums) error {
	for _, c := range []struct {
		name string
		got  hash.Hash
		want []byte
	}{
		{"SHA-256", h.sha, known.SHA256}, {"MD5", h.md5, known.MD5},
		{"CRC32C", h.crc32c, known.CRC32C}, {"CRC64NVME", h.crc64, known.CRC64NVME},
	} {
		if got := c.got.Sum(nil); c.want != nil && !bytes.Equal(got, c.want) {
			return fmt.Errorf("%s of what was read is %x, the provider says %x", c.name, got, c.want)
		}
	}
	return nil
}

func hexOf(b []byte) string { return hex.EncodeToString(b) }

// countTo is a writer that only counts.
type countTo func(n int64)

func (c countTo) Write(b []byte) (int, error) {
	c(int64(len(b)))
	return len(b), nil
}

// How sha256sum writes names that would break a line: a backslash in front of the
// line says that there are escapes in it.
var (
	escapeName   = strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`)
	unescapeName = strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\r`, "\r")
)

func sumLine(sum, name string) string {
	if escaped := escapeName.Replace(name); escaped != name {
		return `\` + sum + "  " + escaped
	}
	return sum + "  " + name
}

// readList reads the sums to compare with. Without a file there are none.
func (v *verifier) readList(file string) error {
	if file == "" {
		return nil
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	v.want = map[string]string{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		line, escaped := strings.CutPrefix(lines.Text(), `\`)
		sum, name, ok := strings.Cut(line, " ")
		if !ok || len(sum) != hex.EncodedLen(sha256.Size) || len(name) < 2 {
			return fmt.Errorf("%s, line %d: not as sha256sum writes it", file, n)
		}
		if name = name[1:]; escaped { // behind the second blank, or "*"
			name = unescapeName.Replace(name)
		}
		v.want[strings.TrimPrefix(name, "./")] = strings.ToLower(sum)
	}
	return lines.Err()
}
