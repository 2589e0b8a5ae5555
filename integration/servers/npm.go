package servers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// npmProgram is a test server that npm can install; node runs it.
type npmProgram struct{ pkg, version, main string }

// install returns the path of the script to run, installing the package if it
// is not there yet.
func (p npmProgram) install() (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "bin", p.pkg+"@"+p.version)
	file := filepath.Join(dir, "node_modules", p.pkg, p.main)
	return file, once(file, func(temp string) error {
		cmd := exec.Command("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", temp, p.pkg+"@"+p.version)
		cmd.Dir = temp
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("npm install %s@%s: %w\n%s", p.pkg, p.version, err, out)
		}
		return os.Rename(temp, dir)
	})
}
