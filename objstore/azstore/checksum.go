package azstore

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/minio/crc64nvme"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/internal/wire"
)

var (
	// errChecksum is a body that is not what it should be.
	errChecksum = errors.New("the bytes do not have the checksum expected")

	// errBody is a body that cannot be read to its end.
	errBody = errors.New("read the body")
)

// validation is the checksum of a body, in one pass over it, for the service to
// check before it takes the bytes: its own CRC-64, which is that of NVMe;
// elsewhere the MD5, since emulators take no notice of the other.
func (s *Store) validation(body *io.SectionReader, known objstore.Checksums) (blob.TransferValidationType, error) {
	if !s.cfg.azure() {
		h := md5.New()
		if err := wire.CopyAll(h, body); err != nil {
			return nil, fmt.Errorf("%w: %w", errBody, err)
		}
		if known.MD5 != nil && !bytes.Equal(known.MD5, h.Sum(nil)) {
			return nil, errChecksum
		}
		return blob.TransferValidationTypeMD5(h.Sum(nil)), nil
	}
	h := crc64nvme.New()
	if err := wire.CopyAll(h, body); err != nil {
		return nil, fmt.Errorf("%w: %w", errBody, err)
	}
	if known.CRC64NVME != nil && !bytes.Equal(known.CRC64NVME, binary.BigEndian.AppendUint64(nil, h.Sum64())) {
		return nil, errChecksum
	}
	return blob.TransferValidationTypeCRC64(h.Sum64()), nil
}

// checked asks for a checksum of a range of at most maxChecked bytes: the same
// one as validation, and for the same reason. The service refuses to give both.
func (s *Store) checked(ctx context.Context, opt *blob.DownloadStreamOptions) context.Context {
	if !s.cfg.azure() {
		opt.RangeGetContentMD5 = to.Ptr(true)
		return ctx
	}
	// The SDK reads it from the answer, but does not ask for it ("Get Blob" in the
	// REST reference).
	return policy.WithHTTPHeader(ctx, http.Header{"X-Ms-Range-Get-Content-Crc64": {"true"}})
}

// crcBytes turns a CRC-64 of the service, little-endian, into what a hash says.
func crcBytes(sum []byte) []byte {
	return binary.BigEndian.AppendUint64(nil, binary.LittleEndian.Uint64(sum))
}

// sending is a body from its start, as the SDK wants it. An error of reading it
// is told from those of the network.
func sending(body *io.SectionReader) io.ReadSeekCloser {
	return streaming.NopCloser(&sent{io.NewSectionReader(body, 0, body.Size())})
}

type sent struct{ *io.SectionReader }

func (b *sent) Read(p []byte) (int, error) {
	n, err := b.SectionReader.Read(p)
	if err != nil && err != io.EOF {
		err = fmt.Errorf("%w: %w", errBody, err)
	}
	return n, err
}

func section(b []byte) *io.SectionReader {
	return io.NewSectionReader(bytes.NewReader(b), 0, int64(len(b)))
}
