package main

import (
	"os"
	"os/user"
)

// completeEnvironment gives us what a login would have: at boot mount(8) and
// systemd call with next to nothing, and the credentials are in HOME.
func completeEnvironment() {
	if path := os.Getenv("PATH"); path == "" || path == "/" {
		os.Setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	}
	if os.Getenv("HOME") == "" {
		if u, err := user.Current(); err == nil && u.HomeDir != "" {
			os.Setenv("HOME", u.HomeDir)
		}
	}
}
