package main

import (
	"os"
	"runtime/debug"
)

// aside is memory for all that the budget does not count: code, requests, the
// node tree.
const aside = 64 << 20

// limitMemory makes the garbage collector work harder near the budget, and
// seldom far from it, unless the usual variables say otherwise. Most of the
// budget is not in the heap at all: a listing of 10,000 names is 10 MB of it.
func limitMemory(budget int64) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(budget + aside)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(200)
	}
}
