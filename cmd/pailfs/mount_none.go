//go:build !(linux && (amd64 || arm64))

package main

import (
	"log/slog"

	"github.com/pailfs/pailfs/mountopts"
)

const canMount = false

func mountStore(*mountopts.Options, *opened, *slog.Logger) (server, error) { return nil, errNoMount }
