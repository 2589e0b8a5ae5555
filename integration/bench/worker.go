package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// workerEnv tells this program to do one job and report it, instead of to run
// the benchmark. The raw SDK runs as a process of its own so that its memory
// and CPU time can be told from those of the proxy.
const workerEnv = "PAILFS_BENCH_JOB"

// job is what a worker does.
type job struct {
	// put, get, create, list, fetch: with the SDK; files: in a directory; readers,
	// random, strided: in one if Dir is set; local: of the source.
	Do string

	access      // where the SDK goes
	Bucket, Key string

	Way string // of the raw SDK, where it is not the common one

	Dir      string // for files
	Source   string // file that holds the bytes to write
	Count    int
	Size     int64
	Of       int64 // of the object, where Size is that of a piece
	PartSize int64
	Parallel int
}

// done is what a worker says on stdout.
type done struct {
	Wall, CPU time.Duration // of the job, without the start of the process
	PeakRSS   int64
	P50, P99  time.Duration // of each piece, where pieces are timed
	Err       string
}

func isWorker() bool { return os.Getenv(workerEnv) != "" }

func runWorker() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var j job
	if err := json.Unmarshal([]byte(os.Getenv(workerEnv)), &j); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	var d done
	work, err := j.prepare(&d)
	if err == nil {
		cpu, begin := usedCPU(), time.Now()
		err = work(ctx)
		d.Wall, d.CPU, d.PeakRSS = time.Since(begin), usedCPU()-cpu, usedRSS()
	}
	if err != nil {
		d.Err = err.Error()
	}
	if err := json.NewEncoder(os.Stdout).Encode(d); err != nil {
		return 2
	}
	return 0
}

// prepare does what is not to be timed. What the work finds out besides goes to d.
func (j job) prepare(d *done) (func(context.Context) error, error) {
	timed := func(read func(context.Context) (p50, p99 time.Duration, err error)) func(context.Context) error {
		return func(ctx context.Context) (err error) {
			d.P50, d.P99, err = read(ctx)
			return err
		}
	}
	switch {
	case j.Do == "files":
		return j.createFiles, nil
	case j.Do == "local":
		return j.readLocal, nil
	case j.Dir != "" && j.Do == "readers":
		return j.readAtOnce, nil
	case j.Dir != "":
		return timed(j.filePieces), nil
	}
	c, err := j.client(j.Parallel)
	if err != nil {
		return nil, err
	}
	t := &transfer{job: j, client: c}
	if j.Way != "" {
		if err := t.take(j.Way); err != nil {
			return nil, err
		}
	}
	switch j.Do {
	case "put":
		if j.Way == streamed {
			return t.putStream, nil
		}
		return t.put, nil
	case "get", "readers":
		return t.get, nil
	case "create":
		return t.create, nil
	case "list":
		return t.list, nil
	case "fetch":
		return t.fetch, nil
	case "random", "strided":
		return timed(t.objectPieces), nil
	}
	return nil, fmt.Errorf("unknown job %q", j.Do)
}

// createFiles creates files one after the other, as most programs do: each is
// closed, and so committed, before the next is made.
func (j job) createFiles(ctx context.Context) error {
	src, err := os.Open(j.Source)
	if err != nil {
		return err
	}
	defer src.Close()
	b := make([]byte, j.Size)
	for i := range j.Count {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := smallBody(src, i, b); err != nil {
			return err
		}
		f, err := os.OpenFile(j.Dir+"/"+smallName(i), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return err
		}
		if _, err := f.Write(b); err != nil {
			f.Close()
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return nil
}

func smallName(i int) string { return fmt.Sprintf("small-%05d", i) }

// smallBody reads the content of small file i: pieces of the source, from the
// start again where it ends.
func smallBody(src *os.File, i int, b []byte) error {
	st, err := src.Stat()
	if err != nil {
		return err
	}
	pieces := st.Size() / int64(len(b))
	_, err = src.ReadAt(b, int64(i)%pieces*int64(len(b)))
	return err
}

func usedCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// usedRSS is the most memory that was resident. Getrusage would count what the
// process that started us had, too.
func usedRSS() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	return statusKiB(status, "VmHWM")
}
