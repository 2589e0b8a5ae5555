package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/pailfs/pailfs/integration/bench/shapedproxy"
)

// link is a way to the server.
type link struct {
	name   string
	server *server            // at its end
	access access             // through the link
	proxy  *shapedproxy.Proxy // nil where requests cannot be counted
}

func (l *link) counts() shapedproxy.Counts {
	if l.proxy == nil {
		return shapedproxy.Counts{}
	}
	return l.proxy.Counts()
}

// proxyCheck is what the proxy does when there is nothing else to wait for, so
// that the figures taken through it can be judged.
type proxyCheck struct {
	plain    float64 // bytes a second of one stream without a proxy
	unshaped float64 // through a proxy that adds nothing
	shaped   float64 // through the shaped proxy
	latency  time.Duration
}

// checkProxy measures the proxy before a server that only sends zeros.
func checkProxy(ctx context.Context, shape shapedproxy.Shape) (proxyCheck, error) {
	const fast, slow = 256 << 20, 32 << 20
	zeros := make([]byte, 1<<20)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return proxyCheck{}, err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := 0
		fmt.Sscanf(r.URL.Path, "/%d", &n)
		w.Header().Set("Content-Length", fmt.Sprint(n))
		for ; n > 0; n -= len(zeros) {
			w.Write(zeros[:min(n, len(zeros))])
		}
	})}
	go server.Serve(l)
	defer server.Close()
	addr := l.Addr().String()

	var c proxyCheck
	if c.plain, _, err = stream(ctx, addr, fast); err != nil {
		return c, err
	}
	for _, p := range []struct {
		shape shapedproxy.Shape
		size  int
		rate  *float64
	}{{shapedproxy.Shape{}, fast, &c.unshaped}, {shape, slow, &c.shaped}} {
		proxy, err := shapedproxy.Start(addr, p.shape, slog.New(slog.DiscardHandler))
		if err != nil {
			return c, err
		}
		*p.rate, c.latency, err = stream(ctx, proxy.Addr(), p.size)
		proxy.Close()
		if err != nil {
			return c, err
		}
	}
	return c, nil
}

// stream reads size bytes and says how fast they came, and how long an empty
// answer takes on a connection that is there already.
func stream(ctx context.Context, addr string, size int) (rate float64, latency time.Duration, err error) {
	transport := &http.Transport{DisableCompression: true}
	defer transport.CloseIdleConnections()
	get := func(n int) (time.Duration, error) {
		req, err := http.NewRequestWithContext(ctx, "GET", fmt.Sprintf("http://%s/%d", addr, n), nil)
		if err != nil {
			return 0, err
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		begin := time.Now()
		_, err = io.Copy(io.Discard, resp.Body)
		return time.Since(begin), err
	}
	if _, err := get(0); err != nil {
		return 0, 0, err
	}
	const asks = 10
	begin := time.Now()
	for range asks {
		if _, err := get(0); err != nil {
			return 0, 0, err
		}
	}
	latency = time.Since(begin) / asks
	took, err := get(size)
	return float64(size) / took.Seconds(), latency, err
}
