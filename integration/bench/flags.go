package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/pailfs/pailfs/mountopts"
)

// config is what the command line says.
type config struct {
	store string // one of stores

	rows, links, contenders *regexp.Regexp

	size     int64 // of the big file
	files    int   // created by the files row
	fileSize int64
	objects  int // listed by the list and tree rows
	randoms  int // reads of the random row
	tarFiles int // read by the tar row

	rounds   int
	once     time.Duration // what took longer in a round is not run in the next
	deadline time.Duration // of one measurement

	partSize int64
	parallel int
	latency  time.Duration
	rate     int64

	pailfs        string // binary; "" to build it
	pailfsOptions []string
	dir           string
	out           string
	drop          bool // the page cache, before cold reads
	verbose       bool
}

func parseFlags(args []string, usage io.Writer) (*config, error) {
	c := &config{size: 1 << 30, fileSize: 10 << 10, partSize: 8 << 20, rate: 60_000_000}
	f := pflag.NewFlagSet("bench", pflag.ContinueOnError)
	f.SetOutput(usage)
	f.StringVar(&c.store, "store", "s3", "`kind` of bucket: "+strings.Join(slices.Sorted(maps.Keys(stores)), ", "))
	rows := f.String("rows", ".", "rows to run: `regexp` on write-1m, write-4k, read, files, list, readers, random, strided, first, again-disk, again-page, tree, tree-again, tar")
	links := f.String("links", ".", "links to run: `regexp` on direct, shaped")
	contenders := f.String("contenders", "^(pailfs|sdk|sdk-lean|sdk-stream|sdk-checked|s3fs|rclone)$", "contenders: `regexp` on these and s3fs-defaults, rclone-defaults, rclone-cache")
	f.Var((*size)(&c.size), "size", "size of the big file")
	f.IntVar(&c.files, "files", 500, "how many small files to create")
	f.Var((*size)(&c.fileSize), "file-size", "size of each small file")
	f.IntVar(&c.objects, "objects", 10_000, "how many objects to list")
	f.IntVar(&c.randoms, "random-reads", 200, "how many random reads")
	f.IntVar(&c.tarFiles, "tar-files", 2000, "how many small files to read with tar")
	f.IntVar(&c.rounds, "rounds", 3, "how often to measure each figure")
	f.DurationVar(&c.once, "once", 90*time.Second, "measure what takes longer than this in one round only")
	f.DurationVar(&c.deadline, "deadline", 10*time.Minute, "longest time for one measurement, which then counts as failed")
	f.Var((*size)(&c.partSize), "part-size", "part size of the raw SDK, and of the peers that can set it")
	f.IntVar(&c.parallel, "parallel", 16, "requests in flight, of all that can set it")
	f.DurationVar(&c.latency, "latency", 30*time.Millisecond, "wait that the shaped link adds to each answer")
	f.Var((*size)(&c.rate), "rate", "bytes a second of each connection of the shaped link, each way")
	f.StringVar(&c.pailfs, "pailfs", "", "pailfs `binary`; without it ./cmd/pailfs is built")
	f.StringArrayVar(&c.pailfsOptions, "pailfs-option", nil, "one more argument of pailfs mount (repeatable)")
	f.StringVar(&c.dir, "dir", "", "`directory` for the source file, mount points and what peers keep on disk; without it a temporary one")
	f.StringVar(&c.out, "out", "", "also write the table to this `file`")
	f.BoolVar(&c.drop, "drop-caches", os.Geteuid() == 0, "drop the page cache of the whole machine before cold reads; needs root")
	f.BoolVarP(&c.verbose, "verbose", "v", false, "show what the programs print")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	var errs [3]error
	c.rows, errs[0] = regexp.Compile(*rows)
	c.links, errs[1] = regexp.Compile(*links)
	c.contenders, errs[2] = regexp.Compile(*contenders)
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	return c, c.check()
}

func (c *config) check() error {
	switch {
	case stores[c.store] == nil:
		return fmt.Errorf("--store %s is none of %s", c.store, strings.Join(slices.Sorted(maps.Keys(stores)), ", "))
	case c.size < 1 || c.fileSize < 1 || c.files < 1 || c.objects < 1 || c.randoms < 1 || c.tarFiles < 1 || c.rounds < 1 || c.parallel < 1:
		return errors.New("sizes, counts and rounds must be at least 1")
	case c.size%(1<<20) != 0:
		return errors.New("--size must be a multiple of 1 MiB")
	case c.fileSize > c.size:
		return errors.New("--file-size must not be larger than --size")
	case c.partSize < 5<<20:
		return errors.New("--part-size must be at least 5 MiB, the smallest part S3 takes")
	case c.partSize%(1<<20) != 0:
		return errors.New("--part-size must be a multiple of 1 MiB")
	case c.rate < 1 || c.latency < 0:
		return errors.New("--rate must be at least 1 and --latency not negative")
	}
	return nil
}

// size is a flag in bytes, written as mountopts writes sizes.
type size int64

func (s *size) String() string { return mountopts.FormatSize(int64(*s)) }
func (s *size) Type() string   { return "size" }
func (s *size) Set(text string) error {
	n, err := mountopts.ParseSize(text)
	*s = size(n)
	return err
}
