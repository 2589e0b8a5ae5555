package main

import (
	"bufio"
	"io"
	"math/rand/v2"
	"os"
)

// makeSource writes a file of bytes that cannot be compressed, the same in every
// run.
func makeSource(name string, size int64) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	if _, err := io.CopyN(w, rand.NewChaCha8([32]byte([]byte("what pailfs is measured with...."))), size); err != nil {
		f.Close()
		return err
	}
	if err := w.Flush(); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// warmFile reads a file once, so that it is in the page cache.
func warmFile(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(struct{ io.Writer }{io.Discard}, f)
	return err
}

// dropCaches makes the next reads cold, where that was asked for. Only root can.
func (b *bench) dropCaches() error {
	if !b.drop {
		return nil
	}
	return os.WriteFile("/proc/sys/vm/drop_caches", []byte("3\n"), 0)
}
