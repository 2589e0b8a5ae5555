package integration

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// compareTable compares the rows of a table that a test has found with those
// between <!-- NAME --> and <!-- end --> in a document, where a cell may leave it
// open ("done or EIO"). An empty row was not tried. PAILFS_UPDATE_DOCS=1 writes
// the rows that the document does not have.
func compareTable(t *testing.T, file, name string, rows []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	check(t, err)
	before, rest, ok := strings.Cut(string(text), "<!-- "+name+" -->\n")
	table, after, ok2 := strings.Cut(rest, "<!-- end -->")
	if !ok || !ok2 {
		t.Fatalf("%s has no table %q", file, name)
	}
	lines := strings.Split(strings.TrimSuffix(table, "\n"), "\n")
	said := lines[2:] // behind the heading
	for i, row := range rows {
		at := slices.IndexFunc(said, func(line string) bool { return says(line, row) })
		switch {
		case row == "":
		case os.Getenv("PAILFS_UPDATE_DOCS") == "":
			if at < 0 {
				t.Errorf("%s does not say so: %s", file, row)
			}
		case at >= 0:
			rows[i] = said[at]
		}
	}
	if os.Getenv("PAILFS_UPDATE_DOCS") != "" {
		table = strings.Join(append(lines[:2:2], rows...), "\n") + "\n"
		check(t, os.WriteFile(file, []byte(before+"<!-- "+name+" -->\n"+table+"<!-- end -->"+after), 0o644))
	}
}

// says reports whether each cell of line is that of row, or has it among others.
func says(line, row string) bool {
	want, got := strings.Split(line, " | "), strings.Split(row, " | ")
	return slices.EqualFunc(want, got, func(want, got string) bool {
		return want == got || slices.Contains(strings.Split(want, " or "), got)
	})
}

func TestTableCells(t *testing.T) {
	for row, want := range map[string]bool{
		"| a | done | EIO |": true, "| a | EIO | EIO |": true, "| a | EACCES | EIO |": false,
		"| a | done | done |": false, "| b | done | EIO |": false, "| a | done |": false,
	} {
		if says("| a | done or EIO | EIO |", row) != want {
			t.Errorf("%s: says %v", row, !want)
		}
	}
}
