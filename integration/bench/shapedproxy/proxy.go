// Package shapedproxy makes a server on this machine behave like a bucket far
// away: an HTTP/1.1 proxy that holds back the first byte of each answer and caps
// what each connection carries in each direction.
//
// It forwards heads byte for byte (so signatures stay valid), keeps connections
// alive, gives each client connection a server connection of its own, and moves
// bodies with splice(2) where the system has it, so that it costs little next to
// the programs measured through it.
package shapedproxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"
)

// Shape is what the proxy does to a connection. The zero value forwards as fast
// as it can.
type Shape struct {
	// Latency is added before the first byte of each final answer. An interim
	// answer (100 Continue) passes at once: one request, one delay.
	Latency time.Duration

	// Rate caps each connection, bytes a second in each direction; 0 is no cap.
	Rate int64
}

// Proxy is a listening proxy.
type Proxy struct {
	target   string
	shape    Shape
	log      *slog.Logger
	listener net.Listener
	cancel   context.CancelFunc
	done     sync.WaitGroup
	counter  counter
}

// Start listens on a free port of the loopback interface and forwards to
// target (host:port) until Close.
func Start(target string, shape Shape, log *slog.Logger) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("shaped proxy: %w", err)
	}
	return Serve(l, target, shape, log), nil
}

// Serve is Start where somebody listens already: for a target that must know
// the address of the proxy. Close closes l.
func Serve(l net.Listener, target string, shape Shape, log *slog.Logger) *Proxy {
	ctx, cancel := context.WithCancel(context.Background())
	p := &Proxy{target: target, shape: shape, log: log, listener: l, cancel: cancel}
	p.done.Go(func() { p.accept(ctx) })
	return p
}

// Addr is the host:port that the proxy listens on.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Counts says what passed since the start.
func (p *Proxy) Counts() Counts { return p.counter.snapshot() }

// Close ends every connection and waits for them.
func (p *Proxy) Close() error {
	p.cancel()
	err := p.listener.Close()
	p.done.Wait()
	return err
}

func (p *Proxy) accept(ctx context.Context) {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				p.log.Error("shaped proxy stopped", "err", err)
			}
			return
		}
		p.counter.connection()
		p.done.Go(func() {
			if err := p.serve(ctx, conn.(*net.TCPConn)); err != nil && ctx.Err() == nil {
				p.log.Debug("shaped connection broke", "err", err)
			}
		})
	}
}

// serve couples one client connection with one server connection until either
// is done.
func (p *Proxy) serve(ctx context.Context, client *net.TCPConn) error {
	defer client.Close()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.target)
	if err != nil {
		return err
	}
	server := conn.(*net.TCPConn)
	defer server.Close()
	stop := context.AfterFunc(ctx, func() { client.Close(); server.Close() })
	defer stop()

	x := &exchange{
		proxy: p,
		// Far more than any client pipelines; one that does more waits.
		methods: make(chan string, 64),
	}
	requests := make(chan error, 1)
	go func() {
		err := x.requests(server, client)
		// The server sees the end of the requests and may still answer.
		server.CloseWrite()
		requests <- err
	}()
	answers := x.answers(ctx, client, server)
	client.Close()
	server.Close()
	return errors.Join(answers, <-requests)
}
