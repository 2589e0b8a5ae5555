package main

import (
	"os"
	"runtime/debug"
	"sync"
)

// logFile is a file that can be moved away while it is written to, as
// logrotate(8) does, and is then opened anew.
type logFile struct {
	path string

	mu    sync.Mutex
	file  *os.File
	stdio bool // stdout and stderr lead to it
}

func openLogFile(path string) (*logFile, error) {
	l := &logFile{path: path}
	return l, l.reopen()
}

// reopen goes on in the file that now has the path. After an error it goes on in
// the old one.
func (l *logFile) reopen() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	if err := debug.SetCrashOutput(f, debug.CrashOptions{}); err != nil {
		f.Close()
		return err
	}
	if l.file != nil {
		l.file.Close()
	}
	l.file = f
	if l.stdio {
		return l.takeStdio()
	}
	return nil
}

func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file.Write(p)
}

// takeStdio makes stdout and stderr lead to the file. The caller holds mu.
func (l *logFile) takeStdio() error {
	l.stdio = true
	for _, fd := range []int{1, 2} {
		if err := replaceFD(int(l.file.Fd()), fd); err != nil {
			return err
		}
	}
	return nil
}

// close ends the file, and removes it if it says nothing and should go then.
func (l *logFile) close(removeEmpty bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if fi, err := l.file.Stat(); removeEmpty && err == nil && fi.Size() == 0 {
		os.Remove(l.path)
	}
	l.file.Close()
}
