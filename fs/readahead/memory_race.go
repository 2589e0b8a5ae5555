//go:build race

package readahead

// The race detector sees the Go heap only.
func mapSegment() []byte { return make([]byte, segmentSize) }

func unmapSegment([]byte) {}

// scrub makes a use after the end a race, or wrong bytes.
func scrub(b []byte) {
	for i := range b {
		b[i] = 0xdb
	}
}
