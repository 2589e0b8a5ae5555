package listen

import (
	"github.com/pailfs/pailfs/cmd/pailfs/internal/control"
	"github.com/pailfs/pailfs/objstore/countstore"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

func registry(src Source) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), mount{src})
	return r
}

// mount collects the metrics of a mount from its status when they are asked for.
type mount struct{ src Source }

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("pailfs_"+name, help, labels, nil)
}

var (
	info        = describe("info", "What is mounted; always 1.", "version", "source", "mountpoint")
	healthy     = describe("healthy", "1 while the store answers and everything that was to be saved is.")
	startTime   = describe("start_time_seconds", "When the mount began, in Unix time.")
	sent        = describe("sent_bytes_total", "Bytes of bodies sent to the store.")
	received    = describe("received_bytes_total", "Bytes of bodies received from the store.")
	commits     = describe("commits_total", "Files committed.")
	lastCommit  = describe("last_commit_timestamp_seconds", "When the last file was committed, in Unix time.")
	uncommitted = describe("uncommitted_files", "Files that are being written, or not saved yet.")
	pending     = describe("uncommitted_bytes", "Size of these files.")
	failed      = describe("failed_files_total", "Files that could not be saved.")
	transfers   = describe("transfers", "Transfers under way.", "direction")
	callBytes   = describe("store_bytes_total", "Bytes of bodies, by call of the store.", "call")
	callErrors  = describe("store_errors_total", "Errors of the store, by call and kind. not-found and condition are answers, no failures.", "call", "kind")
	callTime    = describe("store_call_duration_seconds", "How long calls of the store took.", "call")
	cost        = describe("request_cost_usd_total", "Estimate of what the calls of the store cost, at published prices; see the status for whose.")
	cacheUsed   = describe("cache_used_bytes", "Size of the cache of blocks.")
	cacheLimit  = describe("cache_limit_bytes", "Budget of the cache of blocks.")
	cacheHits   = describe("cache_hits_total", "Blocks read from the cache.")
	cacheMisses = describe("cache_misses_total", "Blocks that the cache did not have.")
	cacheErrors = describe("cache_errors_total", "Blocks of the cache that were bad, and fetched again.")
)

func (mount) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{info, healthy, startTime, sent, received, commits, lastCommit, uncommitted, pending, failed,
		transfers, callBytes, callErrors, callTime, cost, cacheUsed, cacheLimit, cacheHits, cacheMisses, cacheErrors} {
		out <- d
	}
}

func (m mount) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	count := func(d *prometheus.Desc, v int64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	s := m.src.Status()
	gauge(info, 1, s.Version, s.Source, s.Mountpoint)
	ok := 0.0
	if s.Health == control.OK {
		ok = 1
	}
	gauge(healthy, ok)
	gauge(startTime, float64(s.Started.Unix()))
	count(sent, s.Sent)
	count(received, s.Received)
	count(commits, s.Commits)
	if s.LastCommit != nil {
		gauge(lastCommit, float64(s.LastCommit.UnixMilli())/1000)
	}
	var bytes int64
	for _, f := range s.Uncommitted {
		bytes += f.Size
	}
	gauge(uncommitted, float64(len(s.Uncommitted)))
	gauge(pending, float64(bytes))
	count(failed, int64(len(s.Failed)))
	under := map[string]int{countstore.Up: 0, countstore.Down: 0}
	for _, t := range s.Transfers {
		under[t.Direction]++
	}
	for direction, n := range under {
		gauge(transfers, float64(n), direction)
	}
	if c := s.Cost; c != nil {
		out <- prometheus.MustNewConstMetric(cost, prometheus.CounterValue, c.USD)
	}
	if c := s.Cache; c != nil {
		gauge(cacheUsed, float64(c.Used))
		gauge(cacheLimit, float64(c.Limit))
		count(cacheHits, c.Hits)
		count(cacheMisses, c.Misses)
		count(cacheErrors, c.Errors)
	}
	for call, c := range m.src.Count().Calls {
		count(callBytes, c.Bytes, call)
		for kind, n := range c.Errors {
			count(callErrors, n, call, kind)
		}
		buckets := map[float64]uint64{}
		for i, limit := range countstore.Buckets {
			buckets[limit] = uint64(c.Buckets[i])
		}
		out <- prometheus.MustNewConstHistogram(callTime, uint64(c.Calls), c.Seconds, buckets, call)
	}
}
