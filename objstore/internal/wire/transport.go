// Package wire is what the drivers of the clouds have in common below their
// SDKs: connections, the meaning of an HTTP status or of no answer, and values
// in headers.
package wire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"
)

// IdlePerHost is how many connections are kept open for the next request: as
// many as parts and ranged reads may be under way at once.
const IdlePerHost = 64

// Limits of connections that a driver's configuration leaves open.
const (
	DefaultConnectTimeout = 10 * time.Second
	DefaultRequestTimeout = 60 * time.Second
)

// Network says how a driver connects.
type Network struct {
	CABundle       string        // a PEM file of certificates trusted besides the system's
	ConnectTimeout time.Duration // for a connection, and for its TLS handshake
	RequestTimeout time.Duration // longest silence of the network or the service
	Limits         *Limits
}

// Setup returns what sets up a transport. HTTP/1.1 alone: transfers run beside
// each other on connections of their own, as the services cap each of them.
func (n Network) Setup() (func(*http.Transport), error) {
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if n.CABundle != "" {
		pem, err := os.ReadFile(n.CABundle)
		if err != nil {
			return nil, fmt.Errorf("read the CA bundle: %w", err)
		}
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("the CA bundle %s holds no PEM certificate", n.CABundle)
		}
	}
	dialer := &net.Dialer{
		Timeout: n.ConnectTimeout,
		// Finds a peer that has gone while a long answer is awaited.
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 6},
	}
	return func(t *http.Transport) {
		t.Proxy = func(r *http.Request) (*url.URL, error) {
			// A transport asks this before each request, tries again included.
			if err := n.Limits.request(r.Context()); err != nil {
				return nil, err
			}
			return http.ProxyFromEnvironment(r)
		}
		t.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return n.Limits.conn(&idleConn{conn, n.RequestTimeout}), nil
		}
		t.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
		t.TLSHandshakeTimeout = n.ConnectTimeout
		t.ForceAttemptHTTP2 = false
		t.Protocols = new(http.Protocols)
		t.Protocols.SetHTTP1(true)
		t.MaxIdleConns = 0
		t.MaxIdleConnsPerHost = IdlePerHost
		t.MaxConnsPerHost = 0
		t.IdleConnTimeout = 90 * time.Second
		t.WriteBufferSize = 128 << 10
		t.ReadBufferSize = 128 << 10
		t.DisableCompression = true // an object is its bytes as stored
	}, nil
}

// Transport returns a new transport that is set up.
func (n Network) Transport() (*http.Transport, error) {
	setup, err := n.Setup()
	if err != nil {
		return nil, err
	}
	t := new(http.Transport)
	setup(t)
	return t, nil
}

// An idleConn breaks off when the network moves no byte for a while, however
// long the whole transfer takes.
type idleConn struct {
	net.Conn
	limit time.Duration
}

func (c *idleConn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.limit)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *idleConn) Write(p []byte) (int, error) {
	// HTTP reads ahead for the answer while the request is being written: that
	// read is not late before the last byte has gone.
	if err := c.SetDeadline(time.Now().Add(c.limit)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
