package wire

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// sink is a connection that takes and gives bytes at once.
type sink struct{ net.Conn }

func (sink) Write(p []byte) (int, error) { return len(p), nil }
func (sink) Read(p []byte) (int, error)  { return len(p), nil }
func (sink) Close() error                { return nil }

func always(n int64) func(time.Time) int64 { return func(time.Time) int64 { return n } }

// Several connections share one rate, in both directions.
func TestLimitsAreShared(t *testing.T) {
	for _, perSecond := range []int64{10_000, 1 << 20, 100 << 20} {
		synctest.Test(t, func(t *testing.T) {
			l := &Limits{Up: always(perSecond), Down: always(perSecond)}
			for _, move := range []func(net.Conn, []byte) (int, error){net.Conn.Write, readFull} {
				begun := time.Now()
				var wg sync.WaitGroup
				for range 4 {
					c := l.conn(sink{})
					wg.Go(func() {
						if n, err := move(c, make([]byte, perSecond)); n != int(perSecond) || err != nil {
							t.Errorf("moved %d, %v", n, err)
						}
					})
				}
				wg.Wait()
				if took := time.Since(begun).Seconds(); took < 3.5 || took > 4.5 {
					t.Errorf("4 seconds' worth at %d bytes a second took %.2f s", perSecond, took)
				}
			}
		})
	}
}

func readFull(c net.Conn, p []byte) (int, error) { return io.ReadFull(c, p) }

// The rate follows the time of day, and Close ends a wait.
func TestLimitsChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		l := &Limits{Up: func(at time.Time) int64 {
			if at.Sub(begun) < 10*time.Second {
				return 1000
			}
			return 0
		}}
		c := l.conn(sink{})
		if _, err := c.Write(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took < 10*time.Second || took > 12*time.Second {
			t.Errorf("it took %s", took)
		}
		begun = time.Now()
		time.AfterFunc(2*time.Second, func() { c.Close() })
		if _, err := c.Write(make([]byte, 1<<20)); !errors.Is(err, net.ErrClosed) || time.Since(begun) > 3*time.Second {
			t.Errorf("after Close: %v, %s", err, time.Since(begun))
		}
	})
}

func TestLimitsOfRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &Limits{Requests: 2}
		begun := time.Now()
		for range 12 { // two at once, ten more at two a second
			if err := l.request(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(begun); took != 5*time.Second {
			t.Errorf("12 requests took %s", took)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := l.request(ctx); err == nil {
			t.Error("a cancelled one was sent")
		}
	})
	var none *Limits
	if none.request(t.Context()) != nil || none.conn(sink{}) != (sink{}) {
		t.Error("no limits limit")
	}
}

// The limits hold for what a transport sends.
func TestLimitsOfATransport(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		io.CopyN(w, zeros{}, n)
	}))
	defer srv.Close()
	tr, err := Network{ConnectTimeout: time.Minute, RequestTimeout: time.Minute, Limits: &Limits{Up: always(1 << 20)}}.Transport()
	if err != nil {
		t.Fatal(err)
	}
	defer tr.CloseIdleConnections()
	begun := time.Now()
	resp, err := (&http.Client{Transport: tr}).Post(srv.URL, "", io.LimitReader(zeros{}, 1<<19))
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if took := time.Since(begun); n != 1<<19 || err != nil || took < 400*time.Millisecond {
		t.Errorf("%d bytes, %v, in %s", n, err, took)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
