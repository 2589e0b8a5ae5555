package gcsstore

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

// idlePerHost is how many connections are kept open for the next request: as
// many as parts and ranged reads may be under way at once.
const idlePerHost = 64

// newTransport sets up the connections of a store. HTTP/1.1 alone: transfers run
// beside each other on connections of their own, as the service caps each of them.
func newTransport(c Config) (*http.Transport, error) {
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if c.CABundle != "" {
		pem, err := os.ReadFile(c.CABundle)
		if err != nil {
			return nil, fmt.Errorf("read the CA bundle: %w", err)
		}
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("the CA bundle %s holds no PEM certificate", c.CABundle)
		}
	}
	dialer := &net.Dialer{
		Timeout: c.ConnectTimeout,
		// Finds a peer that has gone while a long answer is awaited.
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 6},
	}
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return &idleConn{conn, c.RequestTimeout}, nil
		},
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: c.ConnectTimeout,
		Protocols:           new(http.Protocols),
		MaxIdleConnsPerHost: idlePerHost,
		IdleConnTimeout:     90 * time.Second,
		WriteBufferSize:     128 << 10,
		ReadBufferSize:      128 << 10,
		DisableCompression:  true, // an object is its bytes as stored
	}
	t.Protocols.SetHTTP1(true)
	return t, nil
}

// asStored asks that downloads come as they are stored: an object that is kept
// compressed would otherwise be unpacked on its way, with another length and
// checksum than its own. The SDK asks for it in one of its two ways to read.
type asStored struct{ base http.RoundTripper }

func (a asStored) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method == http.MethodGet && req.URL.Query().Get("alt") == "media" {
		req = req.Clone(req.Context())
		req.Header.Set("Accept-Encoding", "gzip")
	}
	return a.base.RoundTrip(req)
}

func (a asStored) CloseIdleConnections() {}

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
