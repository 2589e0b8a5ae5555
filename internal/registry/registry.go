// Package registry remembers on the local disk what a process has begun in a
// store and must end, so that a later process can clean up after one that died:
// uploads, private objects.
//
// Each process has one file, which it keeps locked for as long as it lives. A
// line "+entry" is something begun, "-entry" something ended. What is left over
// in a file that nobody holds is an orphan.
package registry

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// Registry is the file of this process. The nil Registry remembers nothing.
type Registry struct {
	mu   sync.Mutex
	file *os.File
	open map[string]struct{}
}

// Open makes a file for this process in dir, which is made too (0700).
func Open(dir string) (*Registry, error) {
	if err := os.MkdirAll(dir, 0700); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(dir, strconv.Itoa(os.Getpid())+"-*.reg")
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", f.Name(), err), f.Close())
	}
	return &Registry{file: f, open: map[string]struct{}{}}, nil
}

// Begin remembers the entry, on the disk before it returns.
func (r *Registry) Begin(entry string) error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.begin(entry); err != nil {
		return err
	}
	return r.file.Sync()
}

// Note remembers the entry if this process dies, and perhaps not if the machine
// does.
func (r *Registry) Note(entry string) error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.begin(entry)
}

func (r *Registry) begin(entry string) error {
	r.open[entry] = struct{}{}
	return r.write("+", entry)
}

// End forgets the entry.
func (r *Registry) End(entry string) error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.open[entry]; !ok {
		return nil
	}
	delete(r.open, entry)
	if len(r.open) == 0 { // the file need not grow for ever
		if err := r.file.Truncate(0); err != nil {
			return err
		}
		_, err := r.file.Seek(0, 0)
		return err
	}
	return r.write("-", entry)
}

// write appends a line.
func (r *Registry) write(sign, entry string) error {
	_, err := fmt.Fprintf(r.file, "%s%s\n", sign, strconv.Quote(entry))
	return err
}

// Close ends the file; it is removed if nothing is left in it, else it is an
// orphan for the next process.
func (r *Registry) Close() error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var err error
	if len(r.open) == 0 {
		err = os.Remove(r.file.Name())
	}
	return errors.Join(err, r.file.Close())
}

// Orphans calls end for every entry that a dead process left in dir, and forgets
// those for which it returns nil.
func Orphans(dir string, end func(entry string) error) error {
	names, err := filepath.Glob(filepath.Join(dir, "*.reg"))
	if err != nil {
		return err
	}
	for _, name := range names {
		if e := orphansOf(name, end); e != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", name, e))
		}
	}
	return err
}

func orphansOf(name string, end func(entry string) error) error {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // somebody else has just cleaned it
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		return nil // its process is alive
	}
	open := map[string]struct{}{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		sign, quoted := lines.Text(), ""
		if len(sign) > 0 {
			sign, quoted = sign[:1], sign[1:]
		}
		entry, err := strconv.Unquote(quoted)
		switch {
		case err != nil: // a line cut short by a crash
		case sign == "+":
			open[entry] = struct{}{}
		case sign == "-":
			delete(open, entry)
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	var failed []error
	var rest strings.Builder
	for entry := range open {
		if err := end(entry); err != nil {
			failed = append(failed, err)
			fmt.Fprintf(&rest, "+%s\n", strconv.Quote(entry))
		}
	}
	if len(failed) == 0 {
		return os.Remove(name)
	}
	// What could not be ended stays for the next time.
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = f.WriteAt([]byte(rest.String()), 0)
	return errors.Join(append(failed, err)...)
}
