package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pailfs/pailfs/integration/bench/shapedproxy"
)

// bench is one run.
type bench struct {
	*config
	links  []link
	self   string // this program
	source string // file that is written from
	top    string // everything of this run is below it

	proxy proxyCheck
	log   io.Writer
	undo  []func()
}

func (b *bench) logf(format string, args ...any) {
	fmt.Fprintf(b.log, "bench: "+format+"\n", args...)
}

// tearDown undoes setUp, last first.
func (b *bench) tearDown() {
	for len(b.undo) > 0 {
		f := b.undo[len(b.undo)-1]
		b.undo = b.undo[:len(b.undo)-1]
		f()
	}
}

// setUp starts the server and the links and fills the buckets.
func setUp(ctx context.Context, cfg *config, log io.Writer) (b *bench, err error) {
	b = &bench{config: cfg, log: log}
	defer func() {
		if err != nil {
			b.tearDown()
		}
	}()
	if b.self, err = os.Executable(); err != nil {
		return nil, err
	}
	if b.top, err = os.MkdirTemp(cfg.dir, "pailfs-bench-"); err != nil {
		return nil, err
	}
	if b.top, err = filepath.EvalSymlinks(b.top); err != nil { // as in the table of mounts
		return nil, err
	}
	b.undo = append(b.undo, b.removeTop)
	if err := b.findPailfs(ctx); err != nil {
		return nil, err
	}
	b.source = filepath.Join(b.top, "source")
	if err := makeSource(b.source, b.size); err != nil {
		return nil, err
	}
	return b, b.openLinks(ctx)
}

// removeTop removes the run's directory, unless something is still mounted in it.
func (b *bench) removeTop() {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || strings.Contains(string(table), " "+b.top+"/") {
		b.logf("%s is left behind, as something is mounted in it", b.top)
		return
	}
	os.RemoveAll(b.top)
}

func (b *bench) findPailfs(ctx context.Context) error {
	if !b.contenders.MatchString("pailfs") {
		return nil
	}
	if b.pailfs != "" {
		full, err := exec.LookPath(b.pailfs)
		b.pailfs = full
		return err
	}
	b.pailfs = filepath.Join(b.top, "pailfs")
	cmd := exec.CommandContext(ctx, "go", "build", "-tags", "disable_grpc_modules", "-o", b.pailfs, "github.com/pailfs/pailfs/cmd/pailfs")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build pailfs: %w\n%s", err, out)
	}
	return nil
}

// openLinks starts the server and the ways to it.
func (b *bench) openLinks(ctx context.Context) error {
	if b.config.links.MatchString("direct") {
		s, err := b.startServer(ctx, "")
		if err != nil {
			return err
		}
		b.links = append(b.links, link{name: "direct", server: s, access: s.access})
	}
	if !b.config.links.MatchString("shaped") {
		return nil
	}
	shape := shapedproxy.Shape{Latency: b.latency, Rate: b.rate}
	var err error
	if b.proxy, err = checkProxy(ctx, shape); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	b.undo = append(b.undo, func() { l.Close() })
	s, err := b.startServer(ctx, l.Addr().String())
	if err != nil {
		return err
	}
	to, err := url.Parse(s.Endpoint)
	if err != nil {
		return err
	}
	p := shapedproxy.Serve(l, to.Host, shape, slog.New(slog.NewTextHandler(b.log, nil)))
	b.undo = append(b.undo, func() { p.Close() })
	to.Host = p.Addr()
	b.links = append(b.links, link{name: "shaped", server: s, access: s.access.at(to.String()), proxy: p})
	return nil
}

// startServer starts the server of a link, or takes that of the link before, and
// fills it.
func (b *bench) startServer(ctx context.Context, public string) (*server, error) {
	kind := stores[b.store]
	if len(b.links) > 0 && !kind.namesItself() {
		return b.links[0].server, nil
	}
	a, own, err := kind.start(public)
	if err != nil {
		return nil, err
	}
	b.undo = append(b.undo, own.Stop)
	c, err := a.client(16)
	if err != nil {
		return nil, err
	}
	s := &server{access: a, client: c, pid: own.PID}
	return s, b.fill(ctx, s)
}

// fill makes the buckets and what the rows read.
func (b *bench) fill(ctx context.Context, c client) error {
	for _, name := range []string{writeBucket, readBucket, listBucket, treeBucket, tarBucket} {
		if err := c.makeBucket(ctx, name); err != nil {
			return err
		}
	}
	if b.reads(readBucket) {
		t := &transfer{client: c, job: job{Bucket: readBucket, Key: bigName, Source: b.source,
			Size: b.size, PartSize: b.partSize, Parallel: 4}}
		if err := t.put(ctx); err != nil {
			return err
		}
	}
	if err := b.fillReads(ctx, c); err != nil {
		return err
	}
	if !b.config.rows.MatchString("list") {
		return nil
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(16)
	for i := range b.objects {
		// With the checksum that SDKs choose by themselves: the object of some
		// other program, also for a driver that tells ours by their checksum.
		g.Go(func() error {
			return putBytes(ctx, c, listBucket, smallName(i), []byte("listed\n"))
		})
	}
	return g.Wait()
}

// result is one measurement.
type result struct {
	row, link, contender string

	wall   time.Duration // until the bucket holds it
	lag    time.Duration // part of wall after the program had ended
	note   string        // what the program found out besides
	usage  usage
	server time.Duration // CPU time of the server
	counts shapedproxy.Counts
	err    error
}

// rounds measures everything, once in each round, contender after contender,
// so that what changes on the machine meanwhile meets all of them.
func (b *bench) rounds(ctx context.Context) []result {
	var results []result
	skip := map[[3]string]bool{}
	for round := range b.config.rounds {
		for _, l := range b.links {
			for _, r := range b.rows() {
				if !b.config.rows.MatchString(r.name) {
					continue
				}
				for _, c := range contenders() {
					id := [3]string{l.name, r.name, c.name}
					if !b.takesPart(c) || skip[id] || !c.differs(r) {
						continue
					}
					if ctx.Err() != nil {
						return results
					}
					res := b.measure(ctx, l, r, c)
					results = append(results, res)
					// What failed once would most likely take its deadline again.
					skip[id] = res.err != nil || res.wall > b.once
					b.logf("round %d, %s, %s, %s: %s", round+1, l.name, r.title, c.name, res)
				}
			}
		}
	}
	return results
}

func (b *bench) takesPart(c contender) bool {
	return b.config.contenders.MatchString(c.name) && (c.store == "" || c.store == b.store)
}

func (r result) String() string {
	if r.err != nil {
		return "failed: " + r.err.Error()
	}
	s := fmt.Sprintf("%.2f s, %.2f s CPU, %.2f s CPU of the server", r.wall.Seconds(), r.usage.cpu.Seconds(), r.server.Seconds())
	if n := r.counts.Requests; n > 0 {
		s += fmt.Sprintf(", %d requests and %d new connections", n, r.counts.Connections)
	}
	if r.note != "" {
		s += ", " + r.note
	}
	return s
}

// measure takes one figure. Whatever happens, it returns soon after the
// deadline and leaves nothing mounted or running.
func (b *bench) measure(ctx context.Context, l link, r row, c contender) result {
	ctx, cancel := context.WithTimeoutCause(ctx, b.deadline, fmt.Errorf("not done in %v", b.deadline))
	defer cancel()
	res := result{row: r.name, link: l.name, contender: c.name}
	if c.program != "" {
		if _, err := exec.LookPath(c.program); err != nil {
			res.err = errors.New("not installed")
			return res
		}
	}
	res.err = b.prepare(ctx, l.server, r)
	if res.err == nil {
		if c.raw() {
			res.err = b.measureRaw(ctx, l, r, c, &res)
		} else {
			res.err = b.measureMount(ctx, l, r, c, &res)
		}
	}
	if res.err == nil && r.writes() {
		res.err = r.intact(ctx, l.server)
	}
	if res.err != nil && ctx.Err() != nil {
		res.err = context.Cause(ctx)
	}
	return res
}

// prepare makes every measurement of a row begin alike.
func (b *bench) prepare(ctx context.Context, c client, r row) error {
	if !r.writes() {
		return nil
	}
	if err := empty(ctx, c, r.bucket); err != nil {
		return err
	}
	return warmFile(b.source)
}

func (b *bench) measureRaw(ctx context.Context, l link, r row, c contender, res *result) error {
	if r.cold != nil {
		if err := r.cold(ctx, l.server); err != nil {
			return err
		}
	}
	j := r.job
	j.access = l.access
	j.Way = c.way
	j.PartSize, j.Parallel = b.partSize, c.inFlight(b.parallel)
	before, cpu := l.counts(), l.server.cpu()
	p, err := runProgram(ctx, b.worker(j), nil)
	if err != nil {
		return err
	}
	res.server = l.server.cpu() - cpu
	d, err := workerSaid(p.stdout.Bytes())
	if err != nil {
		return err
	}
	res.wall = d.Wall
	res.usage = usage{cpu: d.CPU, memory: d.PeakRSS}
	res.counts = l.counts().Sub(before)
	if r.note != nil {
		res.note = r.note(p.stdout.Bytes())
	}
	if r.writes() {
		return r.stored(ctx, l.server)
	}
	return nil
}

func (b *bench) measureMount(ctx context.Context, l link, r row, c contender, res *result) (err error) {
	with, cfg := *b, *b.config
	with.config = &cfg
	if r.cached {
		dir, err := os.MkdirTemp(b.top, "cache-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		cfg.pailfsOptions = append(slices.Clone(b.pailfsOptions), "--cache-dir="+dir, "--cache-size="+sizeText(4*b.size))
	}
	m, err := with.mountOn(ctx, c, l.access, r.bucket)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.close(ctx)) }()
	if r.warm != nil {
		for _, cmd := range r.warm(m.dir) {
			if _, err := runProgram(ctx, cmd, m.kill); err != nil {
				return err
			}
		}
	}
	if r.cold != nil {
		if err := r.cold(ctx, l.server); err != nil {
			return err
		}
	}
	before, cpu, s := l.counts(), l.server.cpu(), watch(m.server.pid())
	begin := time.Now()
	p, err := runProgram(ctx, r.through(m.dir), m.kill)
	res.wall = time.Since(begin)
	if err == nil && r.writes() {
		res.lag, err = waitStored(ctx, l.server, r)
		res.wall += res.lag
	}
	res.usage, res.counts = s.stop(), l.counts().Sub(before)
	res.server = l.server.cpu() - cpu
	if err != nil {
		return err
	}
	if b.verbose {
		b.logf("%s said:\n%s", c.name, m.server.stderr.text())
	}
	if r.note != nil {
		res.note = r.note(p.stdout.Bytes())
	}
	return r.check(p.stdout.Bytes(), p.stderr.text())
}
