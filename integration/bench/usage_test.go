package main

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestProcessCPUGrows(t *testing.T) {
	before, err := processCPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	own := usedCPU()
	for x := 1; usedCPU()-own < 100*time.Millisecond; x++ {
		_ = x * x
	}
	after, err := processCPU(os.Getpid())
	if err != nil || after-before < 50*time.Millisecond {
		t.Errorf("%v then %v after 100 ms of work, err %v", before, after, err)
	}
}

func TestMemoryFilesCountAsMemory(t *testing.T) {
	const size = 16 << 20
	memory, disk := openFiles(os.Getpid())
	fd, err := unix.MemfdCreate("staging", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "staging")
	defer f.Close()
	if _, err := f.Write(make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	again, err := unix.Dup(fd) // the same file twice counts once
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(again)
	onDisk, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer onDisk.Close()
	if _, err := onDisk.Write(make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	if err := onDisk.Sync(); err != nil { // until then it may have no blocks
		t.Fatal(err)
	}
	memory2, disk2 := openFiles(os.Getpid())
	if got := memory2 - memory; got != size {
		t.Errorf("memory files grew by %d, want %d", got, size)
	}
	if got := disk2 - disk; got < size || got > 2*size {
		t.Errorf("files grew by %d, want about %d", got, size)
	}
	if u := watch(os.Getpid()).stop(); u.memory < size || u.disk < size {
		t.Errorf("watched %+v", u)
	}
}

func TestStatusKiB(t *testing.T) {
	status := []byte("Name:\tx\nVmHWM:\t   12 kB\nVmRSS:\t    7 kB\n")
	for name, want := range map[string]int64{"VmHWM": 12 << 10, "VmRSS": 7 << 10, "RssShmem": 0} {
		if got := statusKiB(status, name); got != want {
			t.Errorf("%s = %d, want %d", name, got, want)
		}
	}
	if usedRSS() < 1<<20 {
		t.Errorf("this process never had a MiB: %d", usedRSS())
	}
}
