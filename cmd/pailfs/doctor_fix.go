package main

import (
	"fmt"
	"os"
)

// closed says whether a directory takes no files: it is immutable, or has no
// modes, which root alone overrides.
func closed(dir string) bool {
	fi, err := os.Stat(dir)
	return err == nil && fi.Mode().Perm() == 0 || immutable(dir)
}

// closeDirectory makes a directory take no files: immutable, where its file
// system knows that, for it holds for root too.
func closeDirectory(dir string) error {
	if makeImmutable(dir) == nil {
		return nil
	}
	if err := os.Chmod(dir, 0); err != nil {
		return fmt.Errorf("take all modes from %s: %w", dir, reason(err))
	}
	return nil
}
