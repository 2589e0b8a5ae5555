package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path"

	"golang.org/x/sync/errgroup"
)

const (
	treeDirs   = 100
	tarSize    = 20 << 10 // bytes of each file
	randomSize = 4 << 10
	strideSize = 1 << 20
	strideStep = 8 << 20
	readers    = 4
)

// readRows read in other ways than from the beginning to the end once.
func (b *bench) readRows() []row {
	strides := int(b.size / strideStep)
	return []row{
		b.piecesRow("readers", fmt.Sprintf("%d readers of a quarter each of %s", readers, sizeText(b.size)), "readers",
			job{Count: readers, Size: b.size}),
		b.piecesRow("random", fmt.Sprintf("%d random reads of %s", b.randoms, sizeText(randomSize)), "random",
			job{Count: b.randoms, Size: randomSize, Of: b.size}),
		b.piecesRow("strided", fmt.Sprintf("%d reads of %s, every %s", strides, sizeText(strideSize), sizeText(strideStep)), "strided",
			job{Count: strides, Size: strideSize, Of: b.size}),
		b.piecesRow("first", "open and read the first byte", "random", job{Count: 1, Size: 1, Of: 1}),
		b.againRow("again-disk", fmt.Sprintf("read %s again, page cache dropped", sizeText(b.size)), true),
		b.againRow("again-page", fmt.Sprintf("read %s again", sizeText(b.size)), false),
		b.treeRow("tree", "ls -lR of %d objects in %d directories", false),
		b.treeRow("tree-again", "ls -lR of %d objects in %d directories again", true),
		b.tarRow(),
	}
}

// piecesRow reads pieces of the big file; the worker does it through a mount
// and with the SDK alike.
func (b *bench) piecesRow(name, title, do string, j job) row {
	j.Do, j.Bucket, j.Key = do, readBucket, bigName
	r := row{
		name: name, title: title, bucket: readBucket, job: j, cold: b.coldBig,
		through: func(dir string) *exec.Cmd {
			local := j
			local.Dir = dir
			return b.worker(local)
		},
		check: func(stdout, _ []byte) error { _, err := workerSaid(stdout); return err },
		note: func(stdout []byte) string {
			if d, err := workerSaid(stdout); err == nil && d.P50 > 0 {
				return fmt.Sprintf("p50 %.1f ms, p99 %.1f ms", float64(d.P50)/1e6, float64(d.P99)/1e6)
			}
			return ""
		},
	}
	if do == "readers" {
		r.volume = j.Size
	} else {
		r.serial = true
	}
	return r
}

// againRow reads the big file a second time. What it is compared with is cat of
// a local file, in the place of the SDK.
func (b *bench) againRow(name, title string, drop bool) row {
	cat := func(path string) *exec.Cmd { return program("dd", "if="+path, "of=/dev/null", "bs=1M") }
	r := row{
		name: name, title: title, bucket: readBucket, volume: b.size, serial: true, cached: true,
		warm: func(dir string) []*exec.Cmd {
			// Past the page cache first: a busy disk does not keep all at once.
			direct := program("dd", "if="+dir+"/"+bigName, "of=/dev/null", "bs=1M", "iflag=direct")
			again := *direct
			// A mount that passes reads to the kernel verifies the file first, behind this.
			return []*exec.Cmd{direct, &again, cat(dir + "/" + bigName), program("sleep", "3")}
		},
		through: func(dir string) *exec.Cmd { return cat(dir + "/" + bigName) },
		job:     job{Do: "local", Source: b.source, Size: b.size},
		check:   b.ddMovedAll,
	}
	if drop {
		r.cold = func(context.Context, client) error { return b.dropCaches() }
	} else {
		r.cold = func(context.Context, client) error { return warmFile(b.source) }
	}
	return r
}

func (b *bench) treeRow(name, title string, again bool) row {
	ls := func(dir string) *exec.Cmd { return program("ls", "-lR", dir) }
	r := row{
		name: name, title: fmt.Sprintf(title, b.objects, treeDirs), bucket: treeBucket,
		units: b.objects, unit: "object", serial: true,
		through: ls,
		job:     job{Do: "list", Bucket: treeBucket, Count: b.objects},
		check: func(stdout, _ []byte) error {
			if n := bytes.Count(stdout, []byte("small-")); n != b.objects {
				return fmt.Errorf("ls shows %d objects of %d", n, b.objects)
			}
			return nil
		},
	}
	if again {
		r.warm = func(dir string) []*exec.Cmd { return []*exec.Cmd{ls(dir), program("sleep", "1.1")} } // past --attr-ttl
	} else {
		r.cold = func(ctx context.Context, c client) error {
			return errors.Join(b.dropCaches(), warmList(ctx, c, treeBucket))
		}
	}
	return r
}

func (b *bench) tarRow() row {
	return row{
		name: "tar", title: fmt.Sprintf("tar of %d files of %s", b.tarFiles, sizeText(tarSize)), bucket: tarBucket,
		volume: int64(b.tarFiles) * tarSize, units: b.tarFiles, unit: "file", serial: true,
		through: func(dir string) *exec.Cmd {
			// To a pipe: tar does not read what it writes to /dev/null.
			return program("sh", "-c", `tar -C "$1" -cf - . | wc -c`, "sh", dir)
		},
		job: job{Do: "fetch", Bucket: tarBucket, Count: b.tarFiles, Size: tarSize},
		check: func(stdout, _ []byte) error {
			var n int64
			if _, err := fmt.Sscan(string(stdout), &n); err != nil || n < int64(b.tarFiles)*tarSize {
				return fmt.Errorf("tar wrote %q bytes", bytes.TrimSpace(stdout))
			}
			return nil
		},
		cold: func(context.Context, client) error { return b.dropCaches() },
	}
}

// coldBig drops the caches, but not what the server has: its disk is not what is
// measured.
func (b *bench) coldBig(ctx context.Context, c client) error {
	if err := b.dropCaches(); err != nil {
		return err
	}
	return warmObject(ctx, c, readBucket, bigName)
}

// fillReads makes what readRows read, besides the big file.
func (b *bench) fillReads(ctx context.Context, c client) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(16)
	put := func(bucket, key string, n int) {
		// The objects of some other program, as in the list row.
		g.Go(func() error {
			return putBytes(ctx, c, bucket, key, bytes.Repeat([]byte("x"), n))
		})
	}
	if b.reads(treeBucket) {
		for i := range b.objects {
			put(treeBucket, path.Join(fmt.Sprintf("dir-%03d", i%treeDirs), smallName(i)), 7)
		}
	}
	if b.reads(tarBucket) {
		for i := range b.tarFiles {
			put(tarBucket, smallName(i), tarSize)
		}
	}
	return g.Wait()
}

// reads reports whether some row of this run is about a bucket.
func (b *bench) reads(bucket string) bool {
	for _, r := range b.rows() {
		if r.bucket == bucket && b.config.rows.MatchString(r.name) {
			return true
		}
	}
	return false
}
