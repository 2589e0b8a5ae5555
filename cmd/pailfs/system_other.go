//go:build !linux

package main

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// What only a mount needs is an error here: nothing can be mounted.

var program = func() string {
	path, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return path
}()

func closeOnExec(uint) error { return errNoMount }

func replaceFD(fd, old int) error { return unix.Dup2(fd, old) }

// pipeHolds is what the pipes of all systems hold while nobody reads.
const pipeHolds = 16 << 10

// namelessFile is a pipe that holds the text.
func namelessFile(text string) (*os.File, error) {
	if len(text) > pipeHolds {
		return nil, errors.New("too many arguments beside a secret")
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	_, err = w.WriteString(text)
	if err := errors.Join(err, w.Close()); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

func immutable(string) bool { return false }

func makeImmutable(string) error { return errNoMount }

func remountAt(string, string, bool) error { return errNoMount }
