package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// usage is what a server process needed for a measurement.
type usage struct {
	cpu    time.Duration // user and system
	memory int64         // most at one time: resident, and memory files
	disk   int64         // most at one time: files it had open
}

// clockTick is the unit of times in /proc/PID/stat: USER_HZ, 100 on every
// architecture that Go runs on.
const clockTick = 10 * time.Millisecond

// processCPU reads the CPU time of a process, all its threads together.
func processCPU(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name, in parentheses, may hold anything; the state follows it, and
	// utime and stime are fields 14 and 15.
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("stat of %d has %d fields", pid, len(fields))
	}
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * clockTick, nil
}

// statusKiB reads a line such as "VmHWM:  1234 kB" of /proc/PID/status, in
// bytes.
func statusKiB(status []byte, name string) int64 {
	_, rest, ok := bytes.Cut(status, []byte("\n"+name+":"))
	if !ok {
		return 0
	}
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	n, _ := strconv.ParseInt(strings.Fields(string(line))[0], 10, 64)
	return n << 10
}

// openFiles sums up what the files that a process has open occupy: memory files
// (memfd), which are no part of its resident memory unless they are mapped, and
// files on disk.
func openFiles(pid int) (memory, disk int64) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, 0
	}
	seen := map[[2]uint64]bool{}
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		target, err := os.Readlink(name)
		if err != nil || !strings.HasPrefix(target, "/") {
			continue // a socket or a pipe
		}
		var st syscall.Stat_t
		if err := syscall.Stat(name, &st); err != nil || st.Mode&syscall.S_IFMT != syscall.S_IFREG {
			continue
		}
		if id := [2]uint64{uint64(st.Dev), st.Ino}; seen[id] {
			continue
		} else {
			seen[id] = true
		}
		if strings.HasPrefix(target, "/memfd:") {
			memory += st.Blocks * 512
		} else {
			disk += st.Blocks * 512
		}
	}
	return memory, disk
}

// sampler watches a process from start to stop.
type sampler struct {
	pid   int
	cpu   time.Duration
	peak  usage
	quit  chan struct{}
	ended chan struct{}
}

const samplePause = 100 * time.Millisecond

func watch(pid int) *sampler {
	s := &sampler{pid: pid, quit: make(chan struct{}), ended: make(chan struct{})}
	s.cpu, _ = processCPU(pid)
	s.sample()
	go func() {
		defer close(s.ended)
		tick := time.NewTicker(samplePause)
		defer tick.Stop()
		for {
			select {
			case <-s.quit:
				return
			case <-tick.C:
				s.sample()
			}
		}
	}()
	return s
}

func (s *sampler) sample() {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.pid))
	if err != nil {
		return
	}
	memory, disk := openFiles(s.pid)
	// Pages of a mapped memory file count as resident too, as shared memory.
	resident := statusKiB(status, "VmRSS") - statusKiB(status, "RssShmem")
	s.peak.memory = max(s.peak.memory, resident+memory, statusKiB(status, "VmHWM"))
	s.peak.disk = max(s.peak.disk, disk)
}

// stop ends the watch; the process must still run.
func (s *sampler) stop() usage {
	close(s.quit)
	<-s.ended
	s.sample()
	if now, err := processCPU(s.pid); err == nil {
		s.peak.cpu = now - s.cpu
	}
	return s.peak
}
