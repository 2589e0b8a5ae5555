// Command bench times pailfs beside the raw SDK, s3fs and rclone mount: the same
// transfers, against the same server, in one run. docs/performance.md says what
// each figure means. One file for each store holds what the benchmark knows of
// it.
//
// It needs Linux, /dev/fuse and, for the peers, the Debian packages s3fs and
// rclone. As root it also drops the page cache before cold reads.
package main
