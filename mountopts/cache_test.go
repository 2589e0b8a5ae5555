package mountopts

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func settled(t *testing.T, source, list string) *Options {
	t.Helper()
	o, err := finished(t, source, list)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestCacheDefaults(t *testing.T) {
	o := settled(t, "s3://b", "memory=512M")
	if o.CacheDir != "" || o.CacheMemory != 32<<20 {
		t.Errorf("directory %q, memory %d", o.CacheDir, o.CacheMemory)
	}
	dir := filepath.Join(t.TempDir(), "not", "there", "yet")
	o = settled(t, "s3://b", "cache-dir="+dir)
	disk, err := diskSize("/")
	if err != nil {
		t.Fatal(err)
	}
	if o.CacheSize <= 0 || o.CacheSize > 2*disk || o.CacheFree != o.CacheSize/2 {
		t.Errorf("size %d, free %d of a disk of %d", o.CacheSize, o.CacheFree, disk)
	}
	o = settled(t, "s3://b", "cache-dir="+dir+",cache-size=1G,cache-free=2G,cache-memory=0")
	if o.CacheSize != 1<<30 || o.CacheFree != 2<<30 || o.CacheMemory != 0 {
		t.Errorf("size %d, free %d, memory %d", o.CacheSize, o.CacheFree, o.CacheMemory)
	}
}

// Stores that may hold different objects have different names, which tell no
// secrets.
func TestStoreName(t *testing.T) {
	seen := map[string]string{}
	for _, c := range [][2]string{
		{"s3://b", ""}, {"s3://b/p", ""}, {"s3://c", ""}, {"gs://b", ""},
		{"s3://b", "endpoint=https://a.example"}, {"s3://b", "endpoint=https://b.example"}, {"s3://b", "region=eu"},
	} {
		name := settled(t, c[0], c[1]).StoreName()
		if other, ok := seen[name]; ok {
			t.Errorf("%v and %s are both %q", c, other, name)
		}
		seen[name] = c[0] + " " + c[1]
	}
	a := settled(t, "s3://b?endpoint=https://a.example", "").StoreName()
	if b := settled(t, "s3://b", "endpoint=https://a.example").StoreName(); a != b {
		t.Errorf("%q in the URL is %q as an option", a, b)
	}
	secret := settled(t, "s3://b?endpoint=https://user:hunter2@a.example", "").StoreName()
	if strings.Contains(secret, "hunter2") {
		t.Errorf("%q tells the password", secret)
	}
}

func TestMemoryLimit(t *testing.T) {
	if got := memoryLimit("/"); got <= 0 || got == math.MaxInt64 {
		t.Errorf("this machine has %d bytes", got)
	}
	if got := memoryLimit(t.TempDir()); got != math.MaxInt64 {
		t.Errorf("a machine that does not tell has %d bytes", got)
	}
	const all = 16384000 << 10
	tests := []struct {
		cgroup string
		files  map[string]string
		want   int64
	}{
		{"0::/a/b\n", map[string]string{"a/b/memory.max": "max\n", "a/memory.max": "104857600\n"}, 100 << 20},
		{"0::/a/b\n", map[string]string{"a/b/memory.max": "52428800\n", "a/memory.max": "104857600\n"}, 50 << 20},
		{"0::/\n", map[string]string{"memory.max": "max\n"}, all},
		{"4:cpu,memory:/x\n0::/\n", map[string]string{"memory/x/memory.limit_in_bytes": "73400320\n"}, 70 << 20},
		// In a container the path may be that of the host.
		{"4:memory:/docker/123\n", map[string]string{"memory/memory.limit_in_bytes": "73400320\n"}, 70 << 20},
		{"4:memory:/\n", map[string]string{"memory/memory.limit_in_bytes": "9223372036854771712\n"}, all},
		{"nonsense\n", nil, all},
	}
	for _, tt := range tests {
		root := t.TempDir()
		write := func(path, text string) {
			path = filepath.Join(root, path)
			if err := os.MkdirAll(filepath.Dir(path), 0700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0600); err != nil {
				t.Fatal(err)
			}
		}
		write("proc/meminfo", "MemTotal:       16384000 kB\nMemFree:        2000000 kB\n")
		write("proc/self/cgroup", tt.cgroup)
		for name, text := range tt.files {
			write("sys/fs/cgroup/"+name, text)
		}
		if got := memoryLimit(root); got != tt.want {
			t.Errorf("cgroup %q, %v: %d, want %d", tt.cgroup, tt.files, got, tt.want)
		}
	}
	for limit, want := range map[int64]int64{1 << 30: 128 << 20, 100 << 20: MinMemory, 4 << 30: 512 << 20, 64 << 30: 512 << 20} {
		if got := defaultMemory(limit); got != want {
			t.Errorf("budget of %d: %d, want %d", limit, got, want)
		}
	}
}
