// Package integration drives the built pailfs binary with real programs, on a
// directory and on servers of S3, Cloud Storage and Blob Storage, the way their
// users do.
//
// Every program case runs on three targets: "plain", an ordinary directory,
// where it must pass so that the case itself is proven; "file" and "s3",
// through a mount. What a case wrote is then read through a second mount, made
// by a new process, and compared with the objects in the bucket. On "gcs" and
// "azure" the cases of one test run in one mount.
//
// Environment: PAILFS_BINARY names a binary to test instead of building one.
// The programs are in the Debian packages of packages.txt; one that is missing
// skips its cases, and fails them where CI is set.
package integration
