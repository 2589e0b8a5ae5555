package integration

import (
	"os"
	"strings"
	"testing"
)

// compareTable compares the rows of a table that a test has found with those
// between <!-- NAME --> and <!-- end --> in a document. An empty row was not
// tried. PAILFS_UPDATE_DOCS=1 writes them instead.
func compareTable(t *testing.T, file, name string, rows []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	check(t, err)
	before, rest, ok := strings.Cut(string(text), "<!-- "+name+" -->\n")
	table, after, ok2 := strings.Cut(rest, "<!-- end -->")
	if !ok || !ok2 {
		t.Fatalf("%s has no table %q", file, name)
	}
	if os.Getenv("PAILFS_UPDATE_DOCS") != "" {
		head := strings.SplitAfterN(table, "\n", 3)
		table = head[0] + head[1] + strings.Join(rows, "\n") + "\n"
		check(t, os.WriteFile(file, []byte(before+"<!-- "+name+" -->\n"+table+"<!-- end -->"+after), 0o644))
		return
	}
	for _, row := range rows {
		if row != "" && !strings.Contains(table, row+"\n") {
			t.Errorf("%s does not say so: %s", file, row)
		}
	}
}
