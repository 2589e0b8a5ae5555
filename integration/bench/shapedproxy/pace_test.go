package shapedproxy

import (
	"testing"
	"testing/synctest"
	"time"
)

// testRate sends bytes through a pacer in a bubble, where time stands still
// but for the pauses, and wants the rate to be within 10 %.
func testRate(t *testing.T, send func(*pacer, int64)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		const rate = 60_000_000
		for _, total := range []int64{8 << 20, 1 << 30} {
			p := &pacer{rate: rate}
			for range 3 { // idle time between transfers earns nothing
				time.Sleep(time.Minute)
				begin := time.Now()
				send(p, total)
				got := float64(total) / time.Since(begin).Seconds()
				if got < 0.9*rate || got > 1.1*rate {
					t.Errorf("%d bytes at %.0f B/s, want %d", total, got, rate)
				}
			}
		}
	})
}

func TestPacerCatchesUpWithLateTimers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rate = 60_000_000
		p := &pacer{rate: rate}
		p.begin()
		begin := time.Now()
		const total = 64 << 20
		for sent := int64(0); sent < total; sent += p.step() {
			time.Sleep(3 * time.Millisecond) // the transfer itself takes time
			if err := p.sent(t.Context(), p.step()); err != nil {
				t.Fatal(err)
			}
		}
		if got := total / time.Since(begin).Seconds(); got < 0.9*rate || got > 1.1*rate {
			t.Errorf("%.0f B/s, want %d", got, rate)
		}
	})
}
