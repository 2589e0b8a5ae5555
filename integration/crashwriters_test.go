package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

const (
	crashDirEnv  = "PAILFS_TEST_CRASH_DIR"
	crashSeedEnv = "PAILFS_TEST_CRASH_SEED"
)

// crashEvent is a line of what the writers say.
type crashEvent struct {
	Begin  *promise `json:",omitempty"`
	Acked  int64    `json:",omitempty"` // the ID of a promise
	Writer string   `json:",omitempty"` // one that ends
	Err    string   `json:",omitempty"`
	Errno  syscall.Errno
}

// crashChild is the process of the writers, if this one was started for that,
// and does not return then. It is apart from the test because a process that
// has files of a frozen mount open cannot start another one.
func crashChild() {
	dir := os.Getenv(crashDirEnv)
	if dir == "" {
		return
	}
	var seed uint64
	if _, err := fmt.Sscan(os.Getenv(crashSeedEnv), &seed); err != nil {
		panic(err)
	}
	said := &crashSays{out: json.NewEncoder(os.Stdout)}
	var wg sync.WaitGroup
	for name, step := range map[string]func(*crashWriter, int) error{
		"small": stepSmall, "over": stepOver, "large": stepLarge, "append": stepAppend,
		"log": stepLog, "rename": stepRename, "patch": stepPatch,
		"tree": stepTree,
	} {
		w := &crashWriter{crashSays: said, dir: dir, r: rand.New(rand.NewPCG(seed, uint64(name[0])))}
		wg.Go(func() {
			var err error
			for n := w.r.IntN(1000); err == nil; n++ {
				err = step(w, n)
			}
			e := crashEvent{Writer: name, Err: err.Error()}
			errors.As(err, &e.Errno)
			said.say(e)
		})
	}
	wg.Wait()
	os.Exit(0)
}

// crashSays tells the test what is about to be done and what is done.
type crashSays struct {
	mu   sync.Mutex
	out  *json.Encoder
	last int64
}

func (s *crashSays) say(e crashEvent) {
	if err := s.out.Encode(e); err != nil {
		os.Exit(1) // the test is gone
	}
}

// do runs a call that makes these keys have these contents, if it succeeds.
func (s *crashSays) do(after map[string]content, call func() error) error {
	s.mu.Lock()
	s.last++
	id := s.last
	s.say(crashEvent{Begin: &promise{id, after}})
	s.mu.Unlock()
	err := call()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.say(crashEvent{Acked: id})
	return nil
}

// crashWriter writes into a mount, one acknowledged step after the other.
type crashWriter struct {
	*crashSays
	dir  string // the mount point
	r    *rand.Rand
	held []byte // what the file of the writer holds, for those that change one
	tree *crashTree
}

func (w *crashWriter) at(key string) string { return filepath.Join(w.dir, key) }

// makes is a call that makes one file hold some bytes.
func (w *crashWriter) makes(key string, b []byte, call func() error) error {
	return w.do(map[string]content{key: contentOf(b)}, call)
}

func (w *crashWriter) noise(most int) []byte { return noise(w.r.Uint64(), w.r.IntN(most)) }

// load reads what a file holds, if this process did not write it.
func (w *crashWriter) load(key string) (err error) {
	if w.held == nil {
		w.held, err = os.ReadFile(w.at(key))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// stepSmall makes a new small file, and removes an old one.
func stepSmall(w *crashWriter, n int) error {
	key, b := fmt.Sprintf("small/%d", n%40), w.noise(200_000)
	if err := w.makes(key, b, func() error { return os.WriteFile(w.at(key), b, 0o644) }); err != nil {
		return err
	}
	old := fmt.Sprintf("small/%d", (n+20)%40)
	if _, err := os.Stat(w.at(old)); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	return w.do(map[string]content{old: ""}, func() error { return os.Remove(w.at(old)) })
}

// stepOver replaces a file, small or large, and changes its mode.
func stepOver(w *crashWriter, n int) error {
	b := w.noise([]int{100, 100_000, 2 * partSize}[n%3])
	if err := w.makes("over", b, func() error { return os.WriteFile(w.at("over"), b, 0o644) }); err != nil {
		return err
	}
	return os.Chmod(w.at("over"), os.FileMode(0o600+n%8))
}

// stepLarge writes files of several parts, with an fsync in between.
func stepLarge(w *crashWriter, n int) error {
	key := fmt.Sprintf("large/%d", n%3)
	f, err := os.OpenFile(w.at(key), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	b := noise(w.r.Uint64(), partSize+w.r.IntN(2*partSize))
	if _, err := f.Write(b); err != nil {
		return err
	}
	if err := w.makes(key, b, f.Sync); err != nil {
		return err
	}
	more := w.noise(2 * partSize)
	if _, err := f.Write(more); err != nil {
		return err
	}
	return w.makes(key, append(b, more...), f.Close)
}

// stepAppend appends to a file that grows beyond what is copied by parts.
func stepAppend(w *crashWriter, _ int) error {
	if err := w.load("append"); err != nil {
		return err
	}
	flags := os.O_WRONLY | os.O_CREATE | os.O_APPEND
	if len(w.held) > 3*partSize {
		w.held, flags = nil, os.O_WRONLY|os.O_CREATE|os.O_TRUNC
	}
	f, err := os.OpenFile(w.at("append"), flags, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	more := w.noise(3 << 20)
	if _, err := f.Write(more); err != nil {
		return err
	}
	w.held = append(w.held, more...)
	return w.makes("append", w.held, f.Close)
}

// stepLog writes lines and calls fsync after each, with the file open all the time.
func stepLog(w *crashWriter, n int) error {
	key := fmt.Sprintf("log/%d", n%4)
	f, err := os.OpenFile(w.at(key), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	var b []byte
	for range 10 {
		line := strings.Repeat(fmt.Sprintf("%d ", w.r.Uint32()), 1+w.r.IntN(200))
		if _, err := f.WriteString(line); err != nil {
			return err
		}
		b = append(b, line...)
		if err := w.makes(key, b, f.Sync); err != nil {
			return err
		}
	}
	return f.Close()
}

// stepRename writes a temporary file and renames it to its name, as rsync does.
func stepRename(w *crashWriter, n int) error {
	tmp, key := ".target.XXXX", "target"
	b := w.noise([]int{1000, 2 * partSize}[n%2])
	if err := w.makes(tmp, b, func() error { return os.WriteFile(w.at(tmp), b, 0o600) }); err != nil {
		return err
	}
	return w.do(map[string]content{tmp: "", key: contentOf(b)}, func() error {
		return os.Rename(w.at(tmp), w.at(key))
	})
}

// stepPatch changes some bytes in the middle of a large file.
func stepPatch(w *crashWriter, _ int) error {
	if err := w.load("patch"); err != nil {
		return err
	}
	if len(w.held) == 0 {
		w.held = noise(w.r.Uint64(), 2*partSize+w.r.IntN(partSize))
		return w.makes("patch", w.held, func() error { return os.WriteFile(w.at("patch"), w.held, 0o644) })
	}
	f, err := os.OpenFile(w.at("patch"), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	for range 1 + w.r.IntN(4) {
		b, off := w.noise(10_000), w.r.IntN(len(w.held)-10_000)
		if _, err := f.WriteAt(b, int64(off)); err != nil {
			return err
		}
		copy(w.held[off:], b)
	}
	return w.makes("patch", w.held, f.Close)
}
