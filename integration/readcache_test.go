package integration

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pailfs/pailfs/integration/bench/shapedproxy"
	"github.com/pailfs/pailfs/objstore"
	"golang.org/x/sys/unix"
)

// counted is the place seen through a proxy that counts its requests and holds
// each answer back.
func (p *place) counted(t testing.TB, latency time.Duration) (*place, *shapedproxy.Proxy) {
	t.Helper()
	proxy, err := shapedproxy.Start(strings.TrimPrefix(p.bucket.endpoint.URL, "http://"), shapedproxy.Shape{Latency: latency}, slog.New(slog.DiscardHandler))
	check(t, err)
	t.Cleanup(func() { proxy.Close() })
	return &place{kind: p.kind, bucket: p.bucket, env: p.env, state: p.state, source: p.bucket.source("http://" + proxy.Addr())}, proxy
}

// fill puts an object of random bytes.
func (p *place) fill(t testing.TB, key string, size int) []byte {
	t.Helper()
	b := noise(uint64(size), size)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := p.store(t).Put(ctx, key, io.NewSectionReader(bytes.NewReader(b), 0, int64(size)), objstore.PutOptions{})
	check(t, err)
	return b
}

// readDirect reads a file past the kernel's page cache, so that it is asked for.
func readDirect(t testing.TB, path string, size int) []byte {
	t.Helper()
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECT, 0)
	check(t, err)
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	out := make([]byte, 0, size)
	for buf := make([]byte, 1<<20); ; {
		n, err := f.Read(buf)
		out = append(out, buf[:n]...)
		if n == 0 || err != nil {
			if len(out) != size {
				t.Fatalf("%s: %d bytes of %d, %v", path, len(out), size, err)
			}
			return out
		}
	}
}

// cacheFlags are for mounts that say nothing else of their cache. The cases must
// pass with one that keeps nothing, and with one that has room for one block.
func cacheFlags() []string {
	switch os.Getenv("PAILFS_TEST_CACHE") {
	case "none":
		return []string{"--cache-memory=0"}
	case "one":
		return []string{"--cache-memory=128K", "--cache-dir=" + filepath.Join(runDir, "cache"), "--cache-size=160K", "--cache-free=0"}
	}
	return nil
}

// TestReadCache: what was read once comes from the cache directory, after a new
// mount too; damage there is found and fetched again; two mounts share it.
func TestReadCache(t *testing.T) {
	const size = 10<<20 + 333
	onTargets(t, func(t *testing.T, bucket *place) {
		p, proxy := bucket.counted(t, 0)
		want := p.fill(t, "f", size)
		dir := tempDir(t)
		flags := []string{"--cache-dir=" + dir, "--cache-size=256M", "--cache-free=0", "--cache-memory=0"}
		gets := func(m *mounted, when string) int {
			t.Helper()
			before := proxy.Counts()
			if !bytes.Equal(readDirect(t, filepath.Join(m.dir, "f"), size), want) {
				t.Errorf("%s: not the bytes of the object", when)
			}
			return proxy.Counts().Sub(before).ByKind["GET"]
		}
		read := func(m *mounted, when string, requests bool) {
			t.Helper()
			if n := gets(m, when); (n > 0) != requests {
				t.Errorf("%s: %d GETs", when, n)
			}
		}
		// A disk that is busy may not keep all at once.
		fill := func(m *mounted) {
			t.Helper()
			for end := time.Now().Add(time.Minute); gets(m, "filling the cache") > 0; {
				if time.Now().After(end) {
					t.Fatal("the cache does not fill")
				}
			}
		}
		m := p.mount(t, flags...)
		read(m, "first", true)
		fill(m)
		m.umount(t)
		m = p.mount(t, flags...)
		other := p.mount(t, flags...)
		read(m, "mounted again", false)
		read(other, "by another mount", false)
		damaged := 0
		check(t, filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".data" {
				return err
			}
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			check(t, err)
			defer f.Close()
			for off := int64(1000); off < size; off += 3 << 20 {
				_, err := f.WriteAt([]byte{want[off] ^ 1}, off)
				check(t, err)
				damaged++
			}
			return nil
		}))
		if damaged != 4 {
			t.Fatalf("damaged %d bytes of the cache, not 4", damaged)
		}
		read(m, "damaged", true)
		fill(m)
		m.umount(t)
		read(other, "repaired", false)
		log, err := os.ReadFile(m.log)
		check(t, err)
		for _, line := range []string{"damaged in the cache", `"msg":"bounds"`, `"cache-size":"256MiB"`} {
			if !strings.Contains(string(log), line) {
				t.Errorf("the log does not have %q:\n%s", line, log)
			}
		}
		other.umount(t)
	}, "s3")
}
