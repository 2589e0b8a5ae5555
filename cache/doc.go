// Package cache keeps blocks of objects near: in memory, and in a directory
// that survives restarts.
//
// A block is 128 KiB of one version of one object (the last one is shorter).
// Equal versions mean equal bytes, so a block never becomes wrong, only
// unwanted, and a miss is always correct: whoever asks must be able to fetch.
//
// # Memory
//
// The memory tier takes what is read in small pieces: random reads, small
// files, the first bytes of large ones. What a stream reads goes past it, for
// the kernel keeps that in its page cache already.
//
// # Disk
//
// The disk tier has two files for each version: NAME.data, sparse, with the
// bytes at their own offsets, and NAME.sum, the sidecar (sidecar.go), with a
// checksum for each block that is there. Each block is compared with it when it
// is read; one that differs is forgotten, counted and fetched again. Names are
// hashes of store, key and version, and the sidecar repeats them. The tier
// keeps no index in memory, so that several mounts may share a directory:
// what they write into the same file are the same bytes.
//
// One goroutine writes, and makes room. Readers give it an eighth of their
// time to keep up; what it has no time for is not kept.
package cache
