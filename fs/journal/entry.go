package journal

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
)

// keptDir has copies, as plain files, of what could not be uploaded.
const keptDir = "kept"

// ReadAt reads the bytes of the file, as io.ReaderAt does.
func (e *Entry) ReadAt(b []byte, off int64) (int, error) {
	return io.NewSectionReader(e.seg.file, e.data, e.Size).ReadAt(b, off)
}

// Check compares the record with its checksum.
func (e *Entry) Check() error {
	sum := crc32.New(castagnoli)
	body := io.NewSectionReader(e.seg.file, e.head+recordHead, e.data+e.Size-e.head-recordHead)
	if _, err := io.Copy(sum, body); err != nil {
		return err
	}
	if sum.Sum32() != e.sum {
		return Damage{Path: e.seg.path(), Off: e.head, Key: e.Key}
	}
	return nil
}

// Done says that the record is not needed any more. It may come back after a
// crash of the machine before the next Append or Sync.
func (e *Entry) Done() error {
	if e == nil {
		return nil
	}
	e.j.mu.Lock()
	defer e.j.mu.Unlock()
	if e.done {
		return nil
	}
	e.done = true
	e.seg.live--
	err := e.mark()
	if e.kept != "" {
		if rmErr := os.Remove(e.kept); !errors.Is(rmErr, os.ErrNotExist) {
			err = errors.Join(err, rmErr)
		}
	}
	return errors.Join(err, e.j.retire(e.seg))
}

// Cancel is Done for a record whose bytes are still to be read: its space is not
// used again before Done.
func (e *Entry) Cancel() error {
	e.j.mu.Lock()
	defer e.j.mu.Unlock()
	if e.done {
		return nil
	}
	return e.mark()
}

// mark makes the record one that is done. e.j.mu must be held.
func (e *Entry) mark() error {
	e.seg.marked = true
	_, err := e.seg.file.WriteAt(doneMark, e.head+doneAt)
	return err
}

// Keep copies the bytes to a file of their own, for people, and gives its path.
// The file goes when the entry is done.
func (e *Entry) Keep() (path string, err error) {
	if err := e.Check(); err != nil {
		return "", err
	}
	path = e.keptPath()
	if err := os.MkdirAll(filepath.Dir(path), 0700); err != nil {
		return "", err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0600)
	if err != nil {
		return "", err
	}
	_, err = io.Copy(f, io.NewSectionReader(e, 0, e.Size))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("keep %q: %w", e.Key, err)
	}
	e.j.mu.Lock()
	defer e.j.mu.Unlock()
	e.kept = path
	return path, nil
}

// KeepForGood is Keep of an entry that will never be uploaded: it is done, and the
// file stays.
func (e *Entry) KeepForGood() (path string, err error) {
	if path, err = e.Keep(); err != nil {
		return "", err
	}
	e.j.mu.Lock()
	e.kept = ""
	e.j.mu.Unlock()
	return path, e.Done()
}

func (e *Entry) keptPath() string {
	return filepath.Join(e.j.dir, keptDir, safeName(e.ID, e.Key))
}
