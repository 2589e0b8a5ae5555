package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pailfs/pailfs/integration/servers"
)

func TestMain(m *testing.M) {
	if isWorker() { // the benchmark starts this program again, which is the test here
		os.Exit(runWorker())
	}
	os.Exit(m.Run())
}

// TestRunMeasuresEveryRow runs the whole benchmark, small, without pailfs.
func TestRunMeasuresEveryRow(t *testing.T) {
	for _, p := range []string{"s3fs", "rclone", "fusermount3", "dd"} {
		servers.MustHave(t, p)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	var out, log bytes.Buffer
	dir := t.TempDir()
	code := run(ctx, []string{"--contenders", "^(sdk|sdk-lean|s3fs|rclone)$", "--dir", dir, "--out", dir + "/table.md",
		"--size", "9MiB", "--files", "3", "--objects", "1100", "--rounds", "1", "--latency", "1ms",
		"--rows", "write-1m|read|files|list", "--deadline", "5m", "--drop-caches=false"}, &out, &log)
	t.Logf("%s\n%s", &out, &log)
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	if strings.Contains(out.String(), "failed") {
		t.Error("something failed")
	}
	for _, want := range []string{
		"### Direct link", "### Shaped link",
		"| write 9MiB, bs=1M | s3fs |", "| write 9MiB, bs=1M | rclone |", "| write 9MiB, bs=1M | sdk-lean |",
		"| read 9MiB, cold | s3fs |", "| create 3 files of 10KiB | rclone |", "| ls -l of 1100 objects | s3fs |",
		"4 (1 COMMIT, 1 CREATE, 2 PART)", // the raw SDK's write
		"2 (2 GET)",                      // its read
		"3 (1.00 a file)",                // its small files
		"2 (2 LIST)",                     // its listing
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in the table", want)
		}
	}
	if kept, err := os.ReadFile(dir + "/table.md"); err != nil || string(kept) != out.String() {
		t.Errorf("--out holds %d bytes of %d, err %v", len(kept), out.Len(), err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left behind beside the table: %v, err %v", left, err)
	}
}

// TestRunMeasuresTheOtherClouds does the same for them, as far as they go.
func TestRunMeasuresTheOtherClouds(t *testing.T) {
	servers.MustHave(t, "npm")
	for store, want := range map[string][]string{
		"gcs": {
			"| write 17MiB, bs=1M | sdk-stream |",
			"4 (1 COMPOSE, 3 PUT)", // the raw SDK's write
			"3 (3 GET)",            // its read
			"3 (1 CREATE, 2 PART)", // its write as one stream
			"1 (1 LIST)",           // its listing: the server makes one page
			"3 (1.00 a file)",
		},
		"azure": {
			"| read 17MiB, cold | sdk-checked |",
			"4 (1 COMMIT, 3 PART)", "3 (3 GET)",
			"5 (5 GET)", // its read in ranges that are checked
			"1 (1 LIST)", "3 (1.00 a file)",
		},
	} {
		t.Run(store, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
			defer cancel()
			var out, log bytes.Buffer
			dir := t.TempDir()
			code := run(ctx, []string{"--store", store, "--contenders", "^(sdk|sdk-stream|sdk-checked|s3fs)$", "--dir", dir,
				"--size", "17MiB", "--files", "3", "--objects", "100", "--rounds", "1", "--latency", "1ms",
				"--rows", "write-1m|^read$|files|list", "--deadline", "2m", "--drop-caches=false"}, &out, &log)
			t.Logf("%s\n%s", &out, &log)
			if code != 0 || strings.Contains(out.String(), "failed") {
				t.Errorf("exit code %d, or something failed", code)
			}
			for _, text := range want {
				if !strings.Contains(out.String(), text) {
					t.Errorf("%q is not in the table", text)
				}
			}
			if strings.Contains(out.String(), "s3fs |") {
				t.Error("s3fs takes part where it cannot")
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
				t.Errorf("left behind: %v, err %v", left, err)
			}
		})
	}
}

func TestFlags(t *testing.T) {
	c, err := parseFlags([]string{"--size", "64MiB", "--rows", "read", "--rate", "1MB"}, os.Stderr)
	if err != nil || c.size != 64<<20 || c.rate != 1_000_000 || !c.rows.MatchString("read") || c.rows.MatchString("list") {
		t.Errorf("parsed %+v, err %v", c, err)
	}
	if c.contenders.MatchString("rclone-cache") || !c.contenders.MatchString("sdk-lean") {
		t.Error("the default contenders are not the documented ones")
	}
	for _, args := range [][]string{
		{"--size", "0"}, {"--size", "1MB"}, {"--rounds", "0"}, {"--part-size", "1MiB"}, {"--rows", "("},
		{"--size", "1MiB", "--file-size", "2MiB"}, {"--rate", "0"}, {"stray"}, {"--size", "many"}, {"--store", "ftp"},
	} {
		if _, err := parseFlags(args, new(bytes.Buffer)); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
}
