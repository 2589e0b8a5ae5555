package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	dir := t.TempDir()
	page := filepath.Join(dir, "page.md")
	write := func(change string, text string) {
		t.Helper()
		for _, c := range columns {
			for _, mode := range modes {
				name, body := c.driver+"."+mode, "A/a\tyes\nA/b\tno such thing\nA/c\trefused\n"
				if name == change {
					body = text
				}
				if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if err := run(dir, page); err == nil || !strings.Contains(err.Error(), "no outcomes") {
		t.Errorf("nothing there: %v", err)
	}
	write("", "")
	if err := run(dir, page); err == nil || !strings.Contains(err.Error(), "commit it") {
		t.Errorf("the first time: %v", err)
	}
	if err := run(dir, page); err != nil {
		t.Errorf("unchanged: %v", err)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| A/a |" + strings.Repeat(" yes |", 8), "| A/b |" + strings.Repeat(" (1) |", 8), "| A/c |" + strings.Repeat(" refused |", 8), "\n1. no such thing\n",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	for body, want := range map[string]string{
		"A/a\tfailed\nA/b\tyes\nA/c\tyes\n": "A/a has failed in column 6",
		"A/a\tyes\nA/b\tyes\n":              "A/c did not run in column 6",
		"A/a yes\n":                         "is no outcome",
	} {
		write("gcsstore.Prefixed", body)
		if err := run(dir, page); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", body, err, want)
		}
	}
}
