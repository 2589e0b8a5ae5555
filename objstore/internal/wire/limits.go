package wire

import (
	"context"
	"net"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limits bound what all connections of a process take together. One value may
// serve several stores. Nil, and zero fields, bound nothing.
type Limits struct {
	// Up and Down give bytes a second that may be sent and received at a time; 0
	// is any number.
	Up, Down func(at time.Time) int64

	Requests float64 // a second; 0 is any number

	once     sync.Once
	up, down bucket
	requests *rate.Limiter
}

func (l *Limits) begin() {
	l.once.Do(func() {
		l.up.at, l.down.at = l.Up, l.Down
		l.requests = rate.NewLimiter(rate.Inf, 1)
		if l.Requests > 0 {
			l.requests = rate.NewLimiter(rate.Limit(l.Requests), max(1, int(l.Requests)))
		}
	})
}

// request waits until one more request may be sent.
func (l *Limits) request(ctx context.Context) error {
	if l == nil {
		return nil
	}
	l.begin()
	return l.requests.Wait(ctx)
}

// conn bounds a connection.
func (l *Limits) conn(c net.Conn) net.Conn {
	if l == nil || l.Up == nil && l.Down == nil {
		return c
	}
	l.begin()
	return &limitedConn{Conn: c, limits: l, closed: make(chan struct{})}
}

// bucket is a rate that may change with the time of day.
type bucket struct {
	at func(time.Time) int64

	mu   sync.Mutex
	rate int64
	lim  *rate.Limiter
}

// Bytes go out in steps that take a sixteenth of a second at the whole rate, so
// that connections beside each other all make progress.
const (
	stepsPerSecond = 16
	minStep        = 1 << 10
	maxStep        = 128 << 10
)

// step is how many of n bytes may go together; none bounded is all.
func (b *bucket) step(n int) int {
	if b.at == nil {
		return n
	}
	now := b.at(time.Now())
	if now <= 0 {
		return n
	}
	return min(n, int(min(max(now/stepsPerSecond, minStep), maxStep)))
}

// pay is how long to wait for n bytes, at most a step.
func (b *bucket) pay(n int) time.Duration {
	if b.at == nil || n == 0 {
		return 0
	}
	now := b.at(time.Now())
	if now <= 0 {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lim == nil || b.rate != now {
		b.rate, b.lim = now, rate.NewLimiter(rate.Limit(now), maxStep)
		b.lim.AllowN(time.Now(), maxStep) // nothing is saved up at the start
	}
	r := b.lim.ReserveN(time.Now(), min(n, maxStep))
	if !r.OK() {
		return 0
	}
	return r.Delay()
}

type limitedConn struct {
	net.Conn
	limits *Limits
	once   sync.Once
	closed chan struct{}
}

func (c *limitedConn) wait(d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-c.closed:
		return net.ErrClosed
	}
}

func (c *limitedConn) Write(p []byte) (sent int, err error) {
	for len(p) > 0 {
		n := c.limits.up.step(len(p))
		if err := c.wait(c.limits.up.pay(n)); err != nil {
			return sent, err
		}
		n, err := c.Conn.Write(p[:n])
		sent += n
		if err != nil {
			return sent, err
		}
		p = p[n:]
	}
	return sent, nil
}

// Read pays for what came: the network holds back what is not read.
func (c *limitedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p[:c.limits.down.step(len(p))])
	if err == nil {
		err = c.wait(c.limits.down.pay(n))
	}
	return n, err
}

func (c *limitedConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}
