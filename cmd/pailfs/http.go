package main

import (
	"log/slog"

	"github.com/pailfs/pailfs/cmd/pailfs/internal/listen"
	"github.com/pailfs/pailfs/mountopts"
)

// listenOn takes the address of --listen; nil without one. An address that is
// taken fails the mount.
func listenOn(o *mountopts.Options, log *slog.Logger) (*listen.Server, error) {
	if o.Listen == "" {
		return nil, nil
	}
	return listen.On(o.Listen, log)
}

func (l *life) serveHTTP() {
	if l.http == nil {
		return
	}
	l.http.Serve(l, l.opts.Pprof)
	l.log.Info("serving metrics and a status page", "url", "http://"+l.http.Addr()+"/")
}

func closeListener(s *listen.Server) {
	if s != nil {
		s.Close()
	}
}
