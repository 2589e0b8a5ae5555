// Command install builds the servers that the tests start, in advance, so that
// no test waits for a build.
package main

import (
	"fmt"
	"os"

	"github.com/pailfs/pailfs/integration/servers"
)

func main() {
	paths, err := servers.InstallAll()
	for _, p := range paths {
		fmt.Println(p)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "install:", err)
		os.Exit(1)
	}
}
