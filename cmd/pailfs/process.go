package main

import (
	"net"
	"os"
	"runtime/debug"
	"strings"
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

// notifySystemd tells a service manager that started us with Type=notify.
func notifySystemd(state string) error {
	addr := os.Getenv("NOTIFY_SOCKET")
	if addr == "" {
		return nil
	}
	if strings.HasPrefix(addr, "@") {
		addr = "\x00" + addr[1:]
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: addr, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Write([]byte(state))
	return err
}
