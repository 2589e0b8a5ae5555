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
	Do string // put, get, create, list: with the SDK; files: in a directory

	Endpoint, Region, Bucket, Key string

	Dir      string // for files
	Source   string // file that holds the bytes to write
	Count    int
	Size     int64
	PartSize int64
	Parallel int
}

// done is what a worker says on stdout.
type done struct {
	Wall, CPU time.Duration // of the job, without the start of the process
	PeakRSS   int64
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
	work, err := j.prepare()
	var d done
	if err == nil {
		cpu, begin := usedCPU(), time.Now()
		err = work(ctx)
		d = done{Wall: time.Since(begin), CPU: usedCPU() - cpu, PeakRSS: usedRSS()}
	}
	if err != nil {
		d.Err = err.Error()
	}
	if err := json.NewEncoder(os.Stdout).Encode(d); err != nil {
		return 2
	}
	return 0
}

// prepare does what is not to be timed.
func (j job) prepare() (func(context.Context) error, error) {
	if j.Do == "files" {
		return j.createFiles, nil
	}
	t := j.transfer()
	switch j.Do {
	case "put":
		return t.put, nil
	case "get":
		return t.get, nil
	case "create":
		return t.create, nil
	case "list":
		return t.list, nil
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
