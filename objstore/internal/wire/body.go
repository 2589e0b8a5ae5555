package wire

import (
	"io"
	"strconv"
	"strings"
	"sync"

	"github.com/pailfs/pailfs/objstore"
)

var buffers = sync.Pool{New: func() any { return new([128 << 10]byte) }}

// CopyAll copies the whole body to w, whatever was read of it before.
func CopyAll(w io.Writer, body *io.SectionReader) error {
	buf := buffers.Get().(*[128 << 10]byte)
	defer buffers.Put(buf)
	// The wrapper keeps io.CopyBuffer from preferring a method to the buffer.
	n, err := io.CopyBuffer(w, struct{ io.Reader }{io.NewSectionReader(body, 0, body.Size())}, buf[:])
	if err == nil && n != body.Size() {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// ContentRange reads "bytes 0-9/100"; end is one beyond the last byte.
func ContentRange(h string) (off, end, size int64, ok bool) {
	spec, found := strings.CutPrefix(h, "bytes ")
	span, total, found2 := strings.Cut(spec, "/")
	first, last, found3 := strings.Cut(span, "-")
	if !found || !found2 || !found3 {
		return 0, 0, 0, false
	}
	off, err1 := strconv.ParseInt(first, 10, 64)
	end, err2 := strconv.ParseInt(last, 10, 64)
	size, err3 := strconv.ParseInt(total, 10, 64)
	return off, end + 1, size, err1 == nil && err2 == nil && err3 == nil && off <= end && end < size
}

// Nothing is a Get of no bytes, where o is there: of an empty range, or of an
// empty object.
func Nothing(o objstore.Object, r objstore.Range, cond objstore.Cond) (io.ReadCloser, objstore.Object, error) {
	switch {
	case cond.Absent, cond.Version != "" && cond.Version != o.Version:
		return nil, objstore.Object{}, &objstore.Error{Op: "get", Key: o.Key, Kind: objstore.ErrCond}
	case r.Off > o.Size, r.Off == o.Size && o.Size > 0, r.Len != 0 && o.Size > 0:
		return nil, objstore.Object{}, &objstore.Error{Op: "get", Key: o.Key, Kind: objstore.ErrRange}
	}
	return io.NopCloser(strings.NewReader("")), o, nil
}
