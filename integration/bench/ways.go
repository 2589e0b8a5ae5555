package main

import (
	"context"
	"fmt"
	"io"
	"os"
)

// Ways in which some SDKs can do a transfer besides the common one. A contender
// of its own measures each.
const (
	streamed = "stream"  // written by one request in order
	checked  = "checked" // read in ranges each of which has a checksum
)

type streamer interface {
	stream(ctx context.Context, bucket, key string, body *io.SectionReader) error
}

type checker interface {
	// checkedReads returns the client, and the longest range that it can check.
	checkedReads() (checked client, most int64)
}

// take makes the transfer one of another way.
func (t *transfer) take(way string) error {
	switch c := t.client.(type) {
	case checker:
		if way == checked {
			var most int64
			t.client, most = c.checkedReads()
			t.PartSize = min(t.PartSize, most)
			return nil
		}
	case streamer:
		if way == streamed {
			return nil
		}
	}
	return fmt.Errorf("%s: no way %q", t.Store, way)
}

// putStream writes the source as one object, in order.
func (t *transfer) putStream(ctx context.Context) error {
	src, err := os.Open(t.Source)
	if err != nil {
		return err
	}
	defer src.Close()
	return t.client.(streamer).stream(ctx, t.Bucket, t.Key, io.NewSectionReader(src, 0, t.Size))
}
