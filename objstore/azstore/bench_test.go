package azstore

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/minio/crc64nvme"

	"github.com/pailfs/pailfs/objstore"
)

// ranges plays a service with one blob of zeros, of which every range is
// maxChecked long.
type ranges struct {
	zeros    []byte
	md5, crc string
}

func (s ranges) Do(req *http.Request) (*http.Response, error) {
	h := http.Header{"Etag": {`"0x1"`}, "Content-Range": {fmt.Sprintf("bytes 0-%d/%d", len(s.zeros)-1, 2*len(s.zeros))}}
	if req.Header.Get("x-ms-range-get-content-crc64") != "" {
		h.Set("x-ms-content-crc64", s.crc)
	} else {
		h.Set("Content-MD5", s.md5)
	}
	return &http.Response{StatusCode: 206, Header: h, Body: io.NopCloser(bytes.NewReader(s.zeros)), Request: req}, nil
}

// BenchmarkRead is what the driver adds to the reading of a range that is
// checked, at the service and at an emulator.
func BenchmarkRead(b *testing.B) {
	zeros := make([]byte, maxChecked)
	sum := md5.Sum(zeros)
	service := ranges{zeros, base64.StdEncoding.EncodeToString(sum[:]),
		base64.StdEncoding.EncodeToString(binary.LittleEndian.AppendUint64(nil, crc64nvme.Checksum(zeros)))}
	for name, endpoint := range map[string]string{"service": "", "emulator": "http://127.0.0.1:1/acc"} {
		b.Run(name, func(b *testing.B) {
			c, err := Config{Container: "cont", Account: "acc", AccountKey: testKey, Endpoint: endpoint}.resolve(func(string) string { return "" })
			if err != nil {
				b.Fatal(err)
			}
			s, err := newStoreWith(c, service, &http.Transport{})
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(maxChecked)
			buf := make([]byte, 256<<10)
			for b.Loop() {
				body, _, err := s.Get(b.Context(), "k", objstore.Range{Len: maxChecked}, objstore.Cond{Version: "0x1"})
				if err != nil {
					b.Fatal(err)
				}
				if n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, body, buf); err != nil || n != maxChecked {
					b.Fatal(n, err)
				}
				body.Close()
			}
		})
	}
}
