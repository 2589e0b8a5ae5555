package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ceiling is the contender that the others are compared with.
const ceiling = "sdk"

// contender is what is measured: the raw SDK in a process of its own, or a
// program that mounts a bucket.
type contender struct {
	name string

	// The raw SDK: how many requests in flight, given how many the others have.
	// Where way is set, it only does what it does differently.
	inFlight func(parallel int) int
	way      string

	// mount is the command that mounts a bucket on dir and stays in the
	// foreground; scratch is a directory of its own. program is what it needs
	// to be installed, store the only one that it is for, or "".
	program string
	store   string
	mount   func(b *bench, a access, bucket, dir, scratch string) *exec.Cmd
	umount  func(b *bench, dir, scratch string) *exec.Cmd
}

func (c contender) raw() bool { return c.inFlight != nil }

// differs is false where a contender would only do again what the ceiling does.
func (c contender) differs(r row) bool {
	switch c.way {
	case streamed:
		return r.job.Do == "put"
	case checked:
		return r.job.Do == "get"
	}
	return !r.serial || !c.raw() || c.name == ceiling
}

func contenders() []contender {
	fusermount := func(_ *bench, dir, _ string) *exec.Cmd { return exec.Command("fusermount3", "-u", dir) }
	return []contender{
		{name: "pailfs", mount: mountPailfs, umount: func(b *bench, dir, scratch string) *exec.Cmd {
			cmd := exec.Command(b.pailfs, "umount", dir)
			cmd.Env = append(environ(), pailfsEnv(scratch)...)
			return cmd
		}},
		{name: ceiling, inFlight: func(parallel int) int { return parallel }},
		{name: "sdk-lean", inFlight: func(parallel int) int { return min(parallel, 4) }},
		{name: "sdk-stream", store: "gcs", way: streamed, inFlight: func(int) int { return 1 }},
		{name: "sdk-checked", store: "azure", way: checked, inFlight: func(parallel int) int { return parallel }},
		{name: "s3fs", program: "s3fs", store: "s3", mount: mountS3fs(true), umount: fusermount},
		{name: "s3fs-defaults", program: "s3fs", store: "s3", mount: mountS3fs(false), umount: fusermount},
		{name: "rclone", program: "rclone", store: "s3", mount: mountRclone(true, "off"), umount: fusermount},
		{name: "rclone-defaults", program: "rclone", store: "s3", mount: mountRclone(false, "off"), umount: fusermount},
		{name: "rclone-cache", program: "rclone", store: "s3", mount: mountRclone(true, "full"), umount: fusermount},
	}
}

// environ is our environment without what would lead a contender elsewhere:
// other credentials, proxies, options.
func environ() []string {
	return slices.DeleteFunc(os.Environ(), func(kv string) bool {
		name, _, _ := strings.Cut(strings.ToUpper(kv), "=")
		return strings.HasPrefix(name, "AWS") || strings.HasPrefix(name, "AZURE_") || strings.HasPrefix(name, "GOOGLE_") ||
			strings.HasPrefix(name, "STORAGE_EMULATOR") || strings.HasPrefix(name, "RCLONE_") ||
			strings.HasPrefix(name, "PAILFS_") || strings.HasSuffix(name, "_PROXY")
	})
}

// pailfsEnv keeps what pailfs leaves behind in the run's own directory.
func pailfsEnv(scratch string) []string {
	return []string{
		"PAILFS_STATE_DIR=" + filepath.Join(scratch, "state"),
		"PAILFS_RUN_DIR=" + filepath.Join(scratch, "run"),
	}
}

func mountPailfs(b *bench, a access, bucket, dir, scratch string) *exec.Cmd {
	env, options, source := stores[a.Store].pailfs(a, bucket)
	args := append([]string{"mount", "--foreground", "--parallel", strconv.Itoa(b.parallel)}, options...)
	args = append(args, b.pailfsOptions...)
	cmd := exec.Command(b.pailfs, append(args, source, dir)...)
	cmd.Env = append(environ(), env...)
	cmd.Env = append(cmd.Env, pailfsEnv(scratch)...)
	return cmd
}

// mountS3fs mounts with s3fs, tuned to the part size and the parallel requests
// of the others, or with its defaults.
func mountS3fs(tuned bool) func(b *bench, a access, bucket, dir, scratch string) *exec.Cmd {
	return func(b *bench, a access, bucket, dir, scratch string) *exec.Cmd {
		options := fmt.Sprintf("url=%s,endpoint=%s,use_path_request_style,tmpdir=%s", a.Endpoint, a.Region, scratch)
		if tuned {
			options += fmt.Sprintf(",multipart_size=%d,parallel_count=%d,multireq_max=%d", b.partSize>>20, b.parallel, b.parallel)
		}
		cmd := exec.Command("s3fs", bucket, dir, "-f", "-o", options)
		cmd.Env = append(environ(), "AWSACCESSKEYID="+a.Account, "AWSSECRETACCESSKEY="+a.Secret)
		return cmd
	}
}

// mountRclone mounts with rclone. With cache mode off, closing a file waits for
// its upload, as in pailfs; with full it does not.
func mountRclone(tuned bool, cacheMode string) func(b *bench, a access, bucket, dir, scratch string) *exec.Cmd {
	return func(b *bench, a access, bucket, dir, scratch string) *exec.Cmd {
		args := []string{"mount", "--config", "/dev/null", "--cache-dir", scratch, "--vfs-cache-mode", cacheMode}
		if tuned {
			// The server leaves "Expect: 100-continue" without an answer, for
			// which rclone would wait a second.
			args = append(args, "--s3-chunk-size", strconv.FormatInt(b.partSize>>20, 10)+"M",
				"--s3-upload-concurrency", strconv.Itoa(b.parallel), "--expect-continue-timeout", "0")
		}
		if cacheMode != "off" {
			args = append(args, "--vfs-write-back", "0s")
		}
		remote := fmt.Sprintf(":s3,provider=Other,env_auth=true,region=%s,endpoint='%s':%s", a.Region, a.Endpoint, bucket)
		cmd := exec.Command("rclone", append(args, remote, dir)...)
		cmd.Env = append(environ(), s3Endpoint(a).Env()...)
		return cmd
	}
}
