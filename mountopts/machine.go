package mountopts

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// MaxDefaultMemory is the largest memory budget that is chosen unasked.
const MaxDefaultMemory = 512 << 20

// defaultMemory is an eighth of what the process may have, from MinMemory to
// MaxDefaultMemory.
func defaultMemory(limit int64) int64 {
	return min(max(limit/8, MinMemory), MaxDefaultMemory)
}

// memoryLimit is how much memory the process may have, in bytes: that of the
// machine, where /proc tells, or less where a cgroup says so. root is "/" but in tests.
func memoryLimit(root string) int64 {
	limit := int64(math.MaxInt64)
	if text, err := os.ReadFile(filepath.Join(root, "proc/meminfo")); err == nil {
		var kib int64
		if _, err := fmt.Sscanf(string(text), "MemTotal: %d kB", &kib); err == nil { // proc_meminfo(5): the first line
			limit = kib << 10
		}
	}
	groups, err := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	if err != nil {
		return limit
	}
	for line := range strings.Lines(string(groups)) {
		// cgroups(7): hierarchy:controllers:path. Version 2 has no controllers here.
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(f) < 3:
		case f[1] == "":
			limit = min(limit, groupLimit(filepath.Join(root, "sys/fs/cgroup"), f[2], "memory.max"))
		case strings.Contains(","+f[1]+",", ",memory,"):
			limit = min(limit, groupLimit(filepath.Join(root, "sys/fs/cgroup/memory"), f[2], "memory.limit_in_bytes"))
		}
	}
	return limit
}

// groupLimit is the smallest limit of a group and those above it.
func groupLimit(top, group, file string) int64 {
	limit := int64(math.MaxInt64)
	for group = filepath.Join("/", group); ; group = filepath.Dir(group) {
		text, err := os.ReadFile(filepath.Join(top, group, file))
		if err == nil {
			if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil {
				limit = min(limit, n) // "max" is not a number
			}
		}
		if group == "/" {
			return limit
		}
	}
}
