package control

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"
)

// Server answers requests on the socket of a mount.
type Server struct {
	listener net.Listener
	log      *slog.Logger
	ended    chan struct{} // no more connections are accepted
	talks    sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn // answered, and kept open until the process ends
}

// Answerer answers a request. It may tell of progress before. Its context ends
// when the client has gone.
type Answerer func(ctx context.Context, req Request, tell func(Progress)) Answer

// Listen opens the socket that belongs to a lock, and calls answer for each
// request, in a goroutine of its own, until Close.
func Listen(l *Lock, log *slog.Logger, answer Answerer) (*Server, error) {
	path := l.path(".sock")
	// Under the lock, a socket that is there already is a dead process's.
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		ln.Close()
		return nil, err
	}
	s := &Server{listener: ln, log: log, ended: make(chan struct{})}
	go s.accept(answer)
	return s, nil
}

func (s *Server) accept(answer Answerer) {
	defer close(s.ended)
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.talks.Go(func() { s.talk(conn, answer) })
	}
}

// maxRequest is more than any request has, in bytes.
const maxRequest = 64 << 10

// talk leaves the connection open after an unmount: its end tells the client
// that the process has ended.
func (s *Server) talk(conn net.Conn, answer Answerer) {
	var req Request
	conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	if err := json.NewDecoder(io.LimitReader(conn, maxRequest)).Decode(&req); err != nil {
		conn.Close()
		return
	}
	conn.SetReadDeadline(time.Time{})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		conn.Read(make([]byte, 1)) // ends with the connection: there is nothing more to say
		cancel()
	}()
	say := json.NewEncoder(conn)
	a := answer(ctx, req, func(p Progress) { say.Encode(Answer{Progress: &p}) })
	if !req.Unmount {
		defer conn.Close()
	}
	if err := say.Encode(a); err != nil {
		s.log.Warn("control client gone before its answer", "err", err)
		conn.Close()
		return
	}
	if req.Unmount {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.conns = append(s.conns, conn)
	}
}

// Close stops taking requests and waits until those taken are answered, which
// the caller must have made possible.
func (s *Server) Close() {
	s.listener.Close()
	<-s.ended
	s.talks.Wait()
}
