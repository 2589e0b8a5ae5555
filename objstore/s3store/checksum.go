package s3store

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"io"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/internal/wire"
)

// errChecksum is a body that arrived whole and is not what the store holds.
var errChecksum = errors.New("the bytes received do not have the checksum of the object")

// ours is the one algorithm that pailfs uses. It has instructions of its own on
// amd64 and arm64, and a whole-object checksum can be made of it. A listing
// names it, so an object without it carries no metadata of pailfs.
const ours = types.ChecksumAlgorithmCrc32c

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A digest is the checksum of one body as a request carries it; nil leaves a
// header out.
type digest struct {
	crc32c, md5 *string // base64
}

// digestOf computes the checksum of body in one pass over it, unless the caller
// knows it: then the store will find out if the body is not that.
func digestOf(body *io.SectionReader, algorithm Checksum, known objstore.Checksums) (digest, error) {
	switch {
	case algorithm == ChecksumCRC32C && len(known.CRC32C) == crc32.Size:
		return digest{crc32c: base64Of(known.CRC32C)}, nil
	case algorithm == ChecksumMD5 && len(known.MD5) == md5.Size:
		return digest{md5: base64Of(known.MD5)}, nil
	case algorithm == ChecksumCRC32C:
		h := crc32.New(castagnoli)
		if err := wire.CopyAll(h, body); err != nil {
			return digest{}, err
		}
		return digest{crc32c: base64Of(h.Sum(nil))}, nil
	case algorithm == ChecksumMD5:
		h := md5.New()
		if err := wire.CopyAll(h, body); err != nil {
			return digest{}, err
		}
		return digest{md5: base64Of(h.Sum(nil))}, nil
	}
	return digest{}, nil
}

func base64Of(sum []byte) *string { return aws.String(base64.StdEncoding.EncodeToString(sum)) }

// sending are the options of a request with a body. Where a checksum in a
// signed header protects the bytes, or TLS does, a SHA-256 of them for the
// signature would be one more pass, and the slowest.
func (s *Store) sending(d digest) []func(*s3.Options) {
	if d == (digest{}) && !strings.HasPrefix(s.cfg.Endpoint, "https:") && s.cfg.Endpoint != "" {
		return nil
	}
	return []func(*s3.Options){s3.WithAPIOptions(v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)}
}

// fallBack says whether a failed upload is to be tried again with the checksum
// that every store knows, and remembers that for the next ones.
func (s *Store) fallBack(used Checksum, err error) bool {
	if s.cfg.Checksum != ChecksumAuto || used != ChecksumCRC32C || !refusesChecksum(err) {
		return false
	}
	s.useMD5("the store refuses the checksum CRC32C")
	return true
}

func (s *Store) useMD5(why string) {
	if algorithm := ChecksumMD5; *s.algorithm.Swap(&algorithm) != algorithm {
		s.cfg.Log.Info("uploads are checked by Content-MD5 from now on", "bucket", s.cfg.Bucket, "reason", why)
	}
	s.listsAlgorithm.Store(false)
}

// silent handles a Put to whose CRC32C the store did not answer: it may not
// know that header. An ETag that is the MD5 of the body proves the Put right; one
// that looks like an MD5 and is another proves it wrong.
func (s *Store) silent(body *io.SectionReader, etag objstore.Version, encrypted bool) error {
	if s.cfg.Checksum != ChecksumAuto {
		return nil
	}
	s.useMD5("the store does not answer to the checksum CRC32C")
	sum, err := hex.DecodeString(string(etag))
	if err != nil || len(sum) != md5.Size || encrypted {
		return nil
	}
	h := md5.New()
	if err := wire.CopyAll(h, body); err != nil {
		return err
	}
	if [md5.Size]byte(sum) != [md5.Size]byte(h.Sum(nil)) {
		return errChecksum
	}
	return nil
}

// checksums are those of a whole object; the checksum of checksums of a
// multipart object, which ends in "-" and the number of parts, is none.
func checksums(crc32c, crc64nvme, sha256 *string, kind types.ChecksumType) objstore.Checksums {
	if kind == types.ChecksumTypeComposite {
		return objstore.Checksums{}
	}
	return objstore.Checksums{CRC32C: rawSum(crc32c), CRC64NVME: rawSum(crc64nvme), SHA256: rawSum(sha256)}
}

func rawSum(s *string) []byte {
	b, err := base64.StdEncoding.DecodeString(aws.ToString(s))
	if err != nil || len(b) == 0 {
		return nil
	}
	return b
}
