package integration

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// settler is a way to a server that tells when the server is done with what a
// dead client had sent: a request that was sent may still happen, and what is in
// the bucket is known only then.
type settler struct {
	net.Listener
	busy sync.WaitGroup // connections that the server has not closed
}

func newSettler(t testing.TB, url string) *settler {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	t.Cleanup(func() { l.Close() })
	s := &settler{Listener: l}
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
			if err != nil {
				in.Close()
				continue
			}
			s.busy.Go(func() { pass(in.(*net.TCPConn), out.(*net.TCPConn)) })
		}
	}()
	return s
}

// pass carries bytes until the server has closed its side. When the client is
// gone the server is told that nothing more comes, and answers what it has.
func pass(in, out *net.TCPConn) {
	defer in.Close()
	defer out.Close()
	go func() {
		io.Copy(out, in)
		out.CloseWrite()
	}()
	if _, err := io.Copy(in, out); err != nil { // the client is gone
		io.Copy(io.Discard, out)
	}
}

// settled waits until the server is done with all that clients sent which are
// gone now.
func (s *settler) settled(t testing.TB) {
	t.Helper()
	done := make(chan struct{})
	go func() { s.busy.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("a minute after its client was killed the server is not done")
	}
}
