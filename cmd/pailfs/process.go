package main

import (
	"os"
	"runtime/debug"
)

// aside is memory for all that the budget does not count: code, requests, the
// node tree.
const aside = 64 << 20

// limitMemory makes the garbage collector work harder near the budget, unless
// the usual variables say otherwise. Most of the budget is not in the heap at
// all; a small GC percentage keeps what is from doubling.
func limitMemory(budget int64) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(budget + aside)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
}
