package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/pailfs/pailfs/objstore"
)

const workers = 20

var concurrentTests = []test{
	{name: "OwnKeys", run: testOwnKeys},
	{name: "OneKey", run: testOneKey},
	{name: "CreateRace", run: testCreateRace, needs: condPut},
	{name: "Counter", run: testCounter, needs: condPut},
	{name: "Directories", run: testDirectoryRace},
}

// together runs fn at once in all workers. Fn reports by t.Error only.
func together(fn func(i int)) {
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() { fn(i) })
	}
	wg.Wait()
}

// read is get without Fatal, for goroutines.
func (f *fixture) read(name string) ([]byte, objstore.Object, error) {
	body, o, err := f.s.Get(f.ctx, f.dir+name, objstore.All, objstore.Cond{})
	if err != nil {
		return nil, o, err
	}
	defer body.Close()
	got, err := io.ReadAll(body)
	return got, o, err
}

func testOwnKeys(f *fixture) {
	together(func(i int) {
		name := fmt.Sprintf("d%d/k%d", i%3, i)
		for round := range 3 {
			want := []byte(fmt.Sprintf("%d of %d", round, i))
			if _, err := f.s.Put(f.ctx, f.dir+name, section(want), objstore.PutOptions{}); err != nil {
				f.Errorf("put: %v", err)
			}
			if got, _, err := f.read(name); err != nil || !bytes.Equal(got, want) {
				f.Errorf("get %s: %q, %v, want %q", name, got, err, want)
			}
		}
		if i%2 == 0 {
			if err := f.s.Delete(f.ctx, f.dir+name, objstore.Cond{}); err != nil {
				f.Errorf("delete: %v", err)
			}
		}
	})
	if n := len(f.list("")); n != workers/2 {
		f.Errorf("%d objects left, want %d", n, workers/2)
	}
}

// Readers and writers of one key: every read is one of the whole bodies.
func testOneKey(f *fixture) {
	n := min(f.caps.MaxPut, 64<<10)
	body := func(i int) []byte { return bytes.Repeat([]byte{byte('a' + i)}, int(n)) }
	f.put("k", body(0), objstore.PutOptions{})
	together(func(i int) {
		if i%2 == 0 {
			if _, err := f.s.Put(f.ctx, f.dir+"k", section(body(i)), objstore.PutOptions{}); err != nil {
				f.Errorf("put: %v", err)
			}
			return
		}
		got, o, err := f.read("k")
		if err != nil || int64(len(got)) != n || len(bytes.Trim(got, string(got[:1]))) != 0 {
			f.Errorf("a mixed read of %+v: %s, %v", o, brief(got), err)
		}
	})
}

func testCreateRace(f *fixture) {
	var won atomic.Int32
	together(func(i int) {
		var err error
		if i%4 == 0 {
			_, err = f.commitRace("k", fmt.Sprint(i))
		} else {
			_, err = f.tryPut("k", fmt.Sprint(i), absent)
		}
		switch {
		case err == nil:
			won.Add(1)
		case !errors.Is(err, objstore.ErrCond):
			f.Errorf("create: %v", err)
		}
	})
	if won.Load() != 1 {
		f.Errorf("%d creators of one object", won.Load())
	}
}

func (f *fixture) commitRace(name, body string) (objstore.Object, error) {
	u, err := f.s.NewUpload(f.ctx, f.dir+name, objstore.PutOptions{Cond: absent})
	if err != nil {
		return objstore.Object{}, err
	}
	defer func() {
		if err := u.Abort(f.ctx); err != nil {
			f.Errorf("abort: %v", err)
		}
	}()
	if err := u.PutPart(f.ctx, 1, section([]byte(body))); err != nil {
		return objstore.Object{}, err
	}
	return u.Commit(f.ctx, 1)
}

// No update of a counter is lost, however many write it.
func testCounter(f *fixture) {
	f.put("n", []byte("0"), objstore.PutOptions{})
	var added atomic.Int32
	together(func(int) {
		for range 3 {
			got, o, err := f.read("n")
			if err != nil {
				f.Errorf("get: %v", err)
				return
			}
			n, err := strconv.Atoi(string(got))
			if err != nil {
				f.Errorf("counter: %v", err)
				return
			}
			_, err = f.tryPut("n", strconv.Itoa(n+1), version(o))
			switch {
			case err == nil:
				added.Add(1)
			case !errors.Is(err, objstore.ErrCond):
				f.Errorf("put: %v", err)
			}
		}
	})
	f.want("n", []byte(strconv.Itoa(int(added.Load()))))
}

// Objects that come and go in one directory do not lose each other.
func testDirectoryRace(f *fixture) {
	together(func(i int) {
		name := fmt.Sprintf("a/b/c/k%d", i)
		for range 3 {
			if _, err := f.s.Put(f.ctx, f.dir+name, section([]byte("x")), objstore.PutOptions{}); err != nil {
				f.Errorf("put: %v", err)
			}
			if _, err := f.s.Stat(f.ctx, f.dir+name); err != nil {
				f.Errorf("stat: %v", err)
			}
			if err := f.s.Delete(f.ctx, f.dir+name, objstore.Cond{}); err != nil {
				f.Errorf("delete: %v", err)
			}
		}
	})
	f.wantList("left", f.list(""))
}

// Parts sent at once, each of another size.
func testParallelParts(f *fixture) {
	var parts [][]byte
	for i := range workers {
		parts = append(parts, pattern(byte(i), f.part+int64(i%5)))
	}
	u := f.upload("k", objstore.PutOptions{})
	together(func(i int) {
		if err := u.PutPart(f.ctx, i+1, section(parts[i])); err != nil {
			f.Errorf("part: %v", err)
		}
	})
	f.commit(u, "k", workers, slices.Concat(parts...))
}
