package main

import (
	"bytes"
	"os"
	"testing"
)

func TestSourceIsTheSameEveryTimeAndIncompressible(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "b"} {
		if err := makeSource(dir+"/"+name, 3<<20); err != nil {
			t.Fatal(err)
		}
	}
	a, _ := os.ReadFile(dir + "/a")
	b, _ := os.ReadFile(dir + "/b")
	if len(a) != 3<<20 || !bytes.Equal(a, b) {
		t.Fatalf("%d and %d bytes, equal %v", len(a), len(b), bytes.Equal(a, b))
	}
	var seen [256]int
	for _, c := range a {
		seen[c]++
	}
	for c, n := range seen {
		if mean := len(a) / 256; n < mean*9/10 || n > mean*11/10 {
			t.Errorf("byte %d comes %d times, not about %d", c, n, mean)
		}
	}
}

func TestFilesJobWritesPiecesOfTheSource(t *testing.T) {
	dir := t.TempDir()
	if err := makeSource(dir+"/source", 1<<20); err != nil {
		t.Fatal(err)
	}
	out := dir + "/out"
	if err := os.Mkdir(out, 0o755); err != nil {
		t.Fatal(err)
	}
	const size, count = 300 << 10, 5 // 3 pieces, then from the start again
	j := job{Do: "files", Dir: out, Source: dir + "/source", Count: count, Size: size}
	work, err := j.prepare(&done{})
	if err != nil {
		t.Fatal(err)
	}
	if err := work(t.Context()); err != nil {
		t.Fatal(err)
	}
	source, _ := os.ReadFile(dir + "/source")
	for i := range count {
		got, err := os.ReadFile(out + "/" + smallName(i))
		if at := i % 3 * size; err != nil || !bytes.Equal(got, source[at:at+size]) {
			t.Errorf("file %d: %d bytes, err %v", i, len(got), err)
		}
	}
	if err := work(t.Context()); err == nil {
		t.Error("files that exist are created again")
	}
}
