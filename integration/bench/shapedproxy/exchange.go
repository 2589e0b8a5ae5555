package shapedproxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
)

// exchange is one client connection coupled with one server connection. Its two
// directions run apart, so that an answer may come before its request is over.
type exchange struct {
	proxy   *Proxy
	methods chan string // of requests forwarded, in order, not answered yet
}

// requests forwards requests until the client is done.
func (x *exchange) requests(server, client *net.TCPConn) error {
	defer close(x.methods)
	d := direction{dst: server, src: client, buf: bufio.NewReaderSize(client, 32<<10), pace: pacer{rate: x.proxy.shape.Rate}}
	for {
		h, err := readHead(d.buf)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("request: %w", err)
		}
		method, target, err := h.request()
		if err != nil {
			return err
		}
		x.proxy.counter.request(method, target)
		x.methods <- method
		if err := d.forward(context.Background(), h, h.requestBody()); err != nil {
			return fmt.Errorf("request %s: %w", method, err)
		}
	}
}

// answers forwards answers until the server is done.
func (x *exchange) answers(ctx context.Context, client, server *net.TCPConn) error {
	d := direction{dst: client, src: server, buf: bufio.NewReaderSize(server, 32<<10), pace: pacer{rate: x.proxy.shape.Rate}}
	for {
		h, err := readHead(d.buf)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("answer: %w", err)
		}
		status, err := h.status()
		if err != nil {
			return err
		}
		if status < 200 {
			if status == 101 {
				return errors.New("answer: a change of protocol cannot be shaped")
			}
			if err := d.forward(ctx, h, body{}); err != nil {
				return err
			}
			continue
		}
		method, ok := <-x.methods
		if !ok {
			return errors.New("answer: none was asked for")
		}
		if x.proxy.shape.Latency > 0 {
			x.proxy.counter.delay()
			if err := pause(ctx, x.proxy.shape.Latency); err != nil {
				return err
			}
		}
		b := h.answerBody(method, status)
		if err := d.forward(ctx, h, b); err != nil {
			return fmt.Errorf("answer to %s: %w", method, err)
		}
		if b.untilClose || strings.EqualFold(h.field("connection"), "close") {
			return nil
		}
	}
}

// direction carries bytes one way.
type direction struct {
	dst, src *net.TCPConn
	buf      *bufio.Reader // reads src
	pace     pacer
}

func (d *direction) forward(ctx context.Context, h head, b body) error {
	d.pace.begin()
	if err := d.write(ctx, h.raw); err != nil {
		return err
	}
	switch {
	case b.chunked:
		return d.chunks(ctx)
	case b.untilClose:
		err := d.copy(ctx, 1<<62)
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}
	return d.copy(ctx, b.length)
}

func (d *direction) write(ctx context.Context, b []byte) error {
	if _, err := d.dst.Write(b); err != nil {
		return err
	}
	return d.pace.sent(ctx, int64(len(b)))
}

// copy moves n bytes, io.EOF when the source ends before.
func (d *direction) copy(ctx context.Context, n int64) error {
	for n > 0 {
		step := min(n, d.pace.step())
		var from io.Reader = d.src // a TCPConn to a TCPConn is spliced
		if b := int64(d.buf.Buffered()); b > 0 {
			step, from = min(step, b), d.buf
		}
		moved, err := io.CopyN(d.dst, from, step)
		if err != nil {
			return err
		}
		n -= moved
		if err := d.pace.sent(ctx, moved); err != nil {
			return err
		}
	}
	return nil
}

// chunks moves a chunked body with its trailers.
func (d *direction) chunks(ctx context.Context) error {
	for {
		line, err := readLine(d.buf)
		if err != nil {
			return err
		}
		size, err := chunkSize(line)
		if err != nil {
			return err
		}
		if err := d.write(ctx, line); err != nil {
			return err
		}
		if size == 0 {
			break
		}
		if err := d.copy(ctx, size+int64(len("\r\n"))); err != nil {
			return err
		}
	}
	for {
		line, err := readLine(d.buf)
		if err != nil {
			return err
		}
		if err := d.write(ctx, line); err != nil {
			return err
		}
		if blank(line) {
			return nil
		}
	}
}
