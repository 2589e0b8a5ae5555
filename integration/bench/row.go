package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// row is one thing that is measured.
type row struct {
	name   string
	title  string
	bucket string
	volume int64 // bytes moved; 0 where a rate would say nothing
	units  int   // files or objects; 0 where it is one
	unit   string
	serial bool // one request after the other, whatever may be in flight

	// through is the program that does it through a mount, job the same with
	// the raw SDK, which does not say how many requests are in flight.
	through func(dir string) *exec.Cmd
	job     job

	// cold wants what is read to be in no cache but the server's.
	cold func(ctx context.Context, c client) error

	// warm are run through the mount before the clock starts; cached gives pailfs
	// a cache directory.
	warm   func(dir string) []*exec.Cmd
	cached bool

	// note is what the program found out besides, for the table; may be nil.
	note func(stdout []byte) string

	// check judges what the program printed.
	check func(stdout, stderr []byte) error

	// stored is errNotStored until the bucket holds what was written; intact
	// then compares it. Both are nil for rows that read.
	stored, intact func(ctx context.Context, c client) error
}

func (r row) writes() bool { return r.stored != nil }

// rows is the list of all rows, for the sizes of this run.
func (b *bench) rows() []row {
	return append([]row{
		b.writeRow("write-1m", "1M"),
		b.writeRow("write-4k", "4k"),
		b.readRow(),
		b.filesRow(),
		b.listRow(),
	}, b.readRows()...)
}

func (b *bench) writeRow(name, bs string) row {
	return row{
		name: name, title: fmt.Sprintf("write %s, bs=%s", sizeText(b.size), bs),
		bucket: writeBucket, volume: b.size,
		through: func(dir string) *exec.Cmd {
			return program("dd", "if="+b.source, "of="+dir+"/"+bigName, "bs="+bs, "conv=fsync")
		},
		job:   job{Do: "put", Bucket: writeBucket, Key: bigName, Source: b.source, Size: b.size},
		check: b.ddMovedAll,
		stored: func(ctx context.Context, c client) error {
			return hasSize(ctx, c, writeBucket, bigName, b.size)
		},
		intact: func(ctx context.Context, c client) error {
			return sameBytes(ctx, c, writeBucket, bigName, b.source, 0, b.size)
		},
	}
}

func (b *bench) readRow() row {
	return row{
		name: "read", title: fmt.Sprintf("read %s, cold", sizeText(b.size)),
		bucket: readBucket, volume: b.size,
		through: func(dir string) *exec.Cmd {
			return program("dd", "if="+dir+"/"+bigName, "of=/dev/null", "bs=1M")
		},
		job:   job{Do: "get", Bucket: readBucket, Key: bigName, Size: b.size},
		check: b.ddMovedAll,
		cold:  b.coldBig,
	}
}

func (b *bench) filesRow() row {
	j := job{Do: "create", Bucket: writeBucket, Source: b.source, Count: b.files, Size: b.fileSize}
	return row{
		name: "files", title: fmt.Sprintf("create %d files of %s", b.files, sizeText(b.fileSize)),
		bucket: writeBucket, units: b.files, unit: "file", serial: true,
		through: func(dir string) *exec.Cmd {
			local := j
			local.Do, local.Dir = "files", dir
			return b.worker(local)
		},
		job:   j,
		check: func(stdout, _ []byte) error { _, err := workerSaid(stdout); return err },
		stored: func(ctx context.Context, c client) error {
			return hasFiles(ctx, c, writeBucket, b.files, b.fileSize)
		},
		intact: func(ctx context.Context, c client) error {
			pieces := b.size / b.fileSize
			for _, i := range []int{0, b.files / 2, b.files - 1} {
				if err := sameBytes(ctx, c, writeBucket, smallName(i), b.source, int64(i)%pieces*b.fileSize, b.fileSize); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func (b *bench) listRow() row {
	return row{
		name: "list", title: fmt.Sprintf("ls -l of %d objects", b.objects),
		bucket: listBucket, units: b.objects, unit: "object", serial: true,
		through: func(dir string) *exec.Cmd { return program("ls", "-l", dir) },
		job:     job{Do: "list", Bucket: listBucket, Count: b.objects},
		check: func(stdout, _ []byte) error {
			if n := bytes.Count(stdout, []byte("\n")) - 1; n != b.objects { // "total" is the first line
				return fmt.Errorf("ls shows %d entries of %d", n, b.objects)
			}
			return nil
		},
		cold: func(ctx context.Context, c client) error {
			if err := b.dropCaches(); err != nil {
				return err
			}
			return warmList(ctx, c, listBucket)
		},
	}
}

// program is a command whose output we can read, whatever the user's language.
func program(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	return cmd
}

// ddMovedAll wants dd to have moved the whole file.
func (b *bench) ddMovedAll(_, stderr []byte) error {
	if want := fmt.Sprintf("%d bytes", b.size); !strings.Contains(string(stderr), want) {
		return fmt.Errorf("dd did not move %s: %s", want, bytes.TrimSpace(stderr))
	}
	return nil
}

// worker is this program again, with one job.
func (b *bench) worker(j job) *exec.Cmd {
	text, err := json.Marshal(j)
	if err != nil {
		panic(err) // a struct of strings and numbers
	}
	cmd := exec.Command(b.self)
	cmd.Env = append(environ(), workerEnv+"="+string(text))
	return cmd
}

func workerSaid(stdout []byte) (done, error) {
	var d done
	if err := json.Unmarshal(stdout, &d); err != nil {
		return d, fmt.Errorf("worker said %q: %w", stdout, err)
	}
	if d.Err != "" {
		return d, fmt.Errorf("worker: %s", d.Err)
	}
	return d, nil
}
