package readahead

import (
	"testing"
	"time"
)

// The next Get begins as long before the end of one as an answer takes to begin.
func TestNextGetHidesTheLatency(t *testing.T) {
	const size = 8 * mib
	for _, c := range []struct {
		latency, took time.Duration
		filled        int64
		want          bool
	}{
		{latency: 50 * time.Millisecond, filled: 0, want: false},
		{latency: 50 * time.Millisecond, took: time.Second, filled: 4 * mib, want: false}, // a second is left
		{latency: 50 * time.Millisecond, took: time.Second, filled: 6 * mib, want: true},  // a quarter is left
		{latency: 2 * time.Second, took: time.Second, filled: 4 * mib, want: true},
		{latency: 2 * time.Second, took: time.Second, filled: 2 * mib, want: false}, // three seconds are left
	} {
		ch := newChunk(nil, 0, size)
		ch.filled = c.filled
		if c.filled > 0 {
			ch.answered = time.Now().Add(-c.took)
			ch.asked = ch.answered.Add(-c.latency)
		}
		if got := ch.nearlyDone(); got != c.want {
			t.Errorf("%d of %d bytes, answered after %v, %v ago: nearly done %v", c.filled, size, c.latency, c.took, got)
		}
	}
}
