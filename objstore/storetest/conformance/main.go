// Command conformance makes the page docs/conformance.md of what the tests of
// the drivers have left in a directory (storetest.Conformance), and fails if
// that changes the page.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// columns of the table, in their order: the driver, and its name there.
var columns = []struct{ driver, name string }{
	{"dirstore", "directory"}, {"s3store", "S3"}, {"gcsstore", "GCS"}, {"azstore", "Azure"},
}

var modes = []string{"Bare", "Prefixed"}

const head = `# Conformance

Made by ` + "`make test`" + `; do not edit. Each row is a case of the contract that every driver keeps
(` + "`objstore/storetest`" + `), each column a driver, bare and behind a prefix, at a directory, versitygw,
fake-gcs-server behind its front, and Azurite. What these do not check of the real services is tested in the
requests that the drivers send; the pages of the [providers](providers) say where they differ.

"refused": the key is refused with an error, before anything is sent, as the provider cannot hold it.

`

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: conformance DIRECTORY PAGE")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

func run(dir, page string) error {
	made, err := render(dir)
	if err != nil {
		return err
	}
	if was, err := os.ReadFile(page); err == nil && bytes.Equal(was, made) {
		return nil
	}
	if err := os.WriteFile(page, made, 0o644); err != nil {
		return err
	}
	return fmt.Errorf("%s was not what the tests have found; it is now: commit it", page)
}

// render makes the page.
func render(dir string) ([]byte, error) {
	var rows []string
	cells := map[string][]string{} // of a case
	column := 0
	for _, c := range columns {
		for _, mode := range modes {
			results, err := read(filepath.Join(dir, c.driver+"."+mode))
			if err != nil {
				return nil, err
			}
			for _, r := range results {
				if cells[r.name] == nil {
					rows = append(rows, r.name)
					cells[r.name] = make([]string, len(columns)*len(modes))
				}
				cells[r.name][column] = r.result
			}
			column++
		}
	}

	var out, notes bytes.Buffer
	out.WriteString(head)
	fmt.Fprint(&out, "| case |")
	for _, c := range columns {
		fmt.Fprintf(&out, " %s | prefixed |", c.name)
	}
	out.WriteString("\n|---|" + strings.Repeat("---|", column) + "\n")
	numbers := map[string]int{}
	for _, name := range rows {
		fmt.Fprintf(&out, "| %s |", name)
		for i, result := range cells[name] {
			switch result {
			case "":
				return nil, fmt.Errorf("%s did not run in column %d", name, i+1)
			case "failed":
				return nil, fmt.Errorf("%s has failed in column %d", name, i+1)
			case "yes", "refused":
			default:
				if numbers[result] == 0 {
					numbers[result] = len(numbers) + 1
					fmt.Fprintf(&notes, "%d. %s\n", numbers[result], result)
				}
				result = fmt.Sprintf("(%d)", numbers[result])
			}
			fmt.Fprintf(&out, " %s |", result)
		}
		out.WriteString("\n")
	}
	out.WriteString("\nThere is nothing to try where\n\n" + notes.String())
	return out.Bytes(), nil
}

type outcome struct{ name, result string }

func read(file string) ([]outcome, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("no outcomes in %s: run the tests with PAILFS_CONFORMANCE set to the directory", file)
	}
	if err != nil {
		return nil, err
	}
	var all []outcome
	for line := range strings.Lines(string(text)) {
		name, result, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if !ok {
			return nil, fmt.Errorf("%s: %q is no outcome", file, line)
		}
		all = append(all, outcome{name, result})
	}
	return all, nil
}
