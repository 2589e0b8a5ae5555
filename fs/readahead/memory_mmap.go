//go:build !race

package readahead

import "golang.org/x/sys/unix"

// mapSegment panics where the runtime would: when the system has no memory.
func mapSegment() []byte {
	b, err := unix.Mmap(-1, 0, int(segmentSize), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		panic("readahead: out of memory: " + err.Error())
	}
	return b
}

func unmapSegment(b []byte) {
	if err := unix.Munmap(b); err != nil {
		panic("readahead: unmap: " + err.Error())
	}
}

func scrub([]byte) {}
