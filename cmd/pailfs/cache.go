//go:build linux && (amd64 || arm64)

package main

import (
	"log/slog"

	"github.com/pailfs/pailfs/cache"
	"github.com/pailfs/pailfs/cmd/pailfs/internal/control"
	"github.com/pailfs/pailfs/mountopts"
)

// openCache opens the cache that the options ask for, and says what bounds were
// chosen.
func openCache(o *mountopts.Options, log *slog.Logger) *cache.Cache {
	chosen := []any{
		"memory", mountopts.FormatSize(o.Memory), "cache-memory", mountopts.FormatSize(o.CacheMemory),
		"read-ahead", mountopts.FormatSize(o.ReadAhead), "parallel", o.Parallel,
	}
	if o.CacheDir != "" {
		chosen = append(chosen, "cache-dir", o.CacheDir,
			"cache-size", mountopts.FormatSize(o.CacheSize), "cache-free", mountopts.FormatSize(o.CacheFree))
	}
	log.Info("bounds", chosen...)
	return cache.Open(cache.Options{
		Store: o.StoreName(), Memory: o.CacheMemory,
		Dir: o.CacheDir, Size: o.CacheSize, Free: o.CacheFree, Log: log,
	})
}

// cacheUse is what the status shows of the cache.
func (m *mounted) cacheUse() control.Cache {
	s := m.blocks.Stats()
	c := control.Cache{Hits: s.Hits, Misses: s.Misses, Errors: s.Corrupt}
	if m.opts.CacheDir != "" {
		c.Used, c.Limit = s.Bytes, m.opts.CacheSize
	}
	return c
}
