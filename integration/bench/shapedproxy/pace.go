package shapedproxy

import (
	"context"
	"time"
)

// slack is how late a direction may be inside a message and still catch up:
// what a timer that fired late cost is made good, what the sender dawdled away
// beyond that is not.
const slack = 25 * time.Millisecond

// pacer keeps one direction of one connection to a rate.
type pacer struct {
	rate int64     // bytes a second; 0 is no cap
	next time.Time // when the bytes sent so far are due
}

// begin is called before each message: the time before it earns nothing.
func (p *pacer) begin() {
	if now := time.Now(); p.next.Before(now) {
		p.next = now
	}
}

// step is how much to move between two pauses: about 4 ms worth, so that timers
// are few and bursts short.
func (p *pacer) step() int64 {
	if p.rate == 0 {
		return 4 << 20
	}
	return max(p.rate/250, 4<<10)
}

// sent notes that n bytes went and pauses until they are due.
func (p *pacer) sent(ctx context.Context, n int64) error {
	if p.rate == 0 || n == 0 {
		return nil
	}
	if floor := time.Now().Add(-slack); p.next.Before(floor) {
		p.next = floor
	}
	p.next = p.next.Add(time.Duration(float64(n) / float64(p.rate) * float64(time.Second)))
	return pause(ctx, time.Until(p.next))
}

func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
