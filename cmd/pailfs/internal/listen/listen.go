// Package listen serves a mount's metrics, health and status page over HTTP. All
// of it is read-only.
package listen

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/pailfs/pailfs/cmd/pailfs/internal/control"
	"github.com/pailfs/pailfs/objstore/countstore"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

//go:embed page
var page embed.FS

// Source is the mount that is looked at.
type Source interface {
	Status() *control.Status
	Count() countstore.Snapshot
}

// Server answers on one address.
type Server struct {
	listener net.Listener
	http     http.Server
	log      *slog.Logger
}

// On takes an address, as host:port. Nothing is answered before Serve.
func On(addr string, log *slog.Logger) (*Server, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		if op := (*net.OpError)(nil); errors.As(err, &op) {
			err = op.Err
		}
		return nil, fmt.Errorf("listen on %s: %w; choose another address with --listen", addr, err)
	}
	return &Server{listener: l, log: log}, nil
}

// Addr is the address that was taken.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Serve answers about a mount until Close:
//
//	/metrics   for Prometheus
//	/healthz   200 while the process lives
//	/readyz    200 while the mount is healthy, else 503 and why
//	/          the status page, of /status.json
//	/debug/pprof/NAME   where profile is set
func (s *Server) Serve(src Source, profile bool) {
	s.http = http.Server{
		Handler:           Handler(src, profile),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       time.Minute,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	go func() {
		if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("metrics are no longer served", "err", err)
		}
	}()
}

// Close ends what is being answered. It may come before Serve.
func (s *Server) Close() error { return errors.Join(s.http.Close(), ignoreClosed(s.listener.Close())) }

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Handler is what Serve answers with.
func Handler(src Source, profile bool) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry(src), promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		src.Status() // a server that hangs does not answer
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		s := src.Status()
		if s.Health != control.OK {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		fmt.Fprintln(w, s.Health, s.Reason)
	})
	mux.HandleFunc("GET /status.json", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(src.Status())
	})
	files, err := fs.Sub(page, "page")
	if err != nil {
		panic(err) // the name is right above
	}
	mux.Handle("GET /", http.FileServerFS(files))
	if profile {
		mux.HandleFunc("GET /debug/pprof/{name}", serveProfile)
	}
	return guarded(mux)
}

// guarded keeps the page, and what it shows of keys, to itself.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}
