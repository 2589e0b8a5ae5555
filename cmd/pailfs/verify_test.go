package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/dirstore"
)

// verify runs the command and gives what it prints.
func verify(args ...string) (out, problems string, err error) {
	var o, e bytes.Buffer
	cmd := verifyCommand()
	cmd.SetArgs(args)
	cmd.SetOut(&o)
	cmd.SetErr(&e)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	err = cmd.Execute()
	return o.String(), e.String(), err
}

func TestVerify(t *testing.T) {
	dir := t.TempDir()
	s, err := dirstore.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := ""
	for _, key := range []string{"a", "b/c", `d\e`} {
		body := strings.Repeat(key, 1000)
		if _, err := s.Put(t.Context(), key, io.NewSectionReader(strings.NewReader(body), 0, int64(len(body))), objstore.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		want += sumLine(fmt.Sprintf("%x", sha256.Sum256([]byte(body))), key) + "\n"
	}
	s.Close()
	list := filepath.Join(t.TempDir(), "SHA256SUMS")
	for _, args := range [][]string{{dir}, {"--deep", "file://" + dir}} {
		out, problems, err := verify(args...)
		if err != nil || out != want || problems != "" {
			t.Errorf("%v: %v, %q, printed %q, want %q", args, err, problems, out, want)
		}
	}
	if err := os.WriteFile(list, []byte(want), 0600); err != nil {
		t.Fatal(err)
	}
	if out, err := sha256sumCheck(dir, list); err != nil {
		t.Errorf("sha256sum -c: %v\n%s", err, out)
	}
	fails := func(says string, args ...string) {
		t.Helper()
		_, problems, err := verify(args...)
		if err == nil || !strings.Contains(problems+err.Error(), says) {
			t.Errorf("%v: %v, %q, want %q", args, err, problems, says)
		}
	}
	if _, _, err := verify("--check", list, dir); err != nil {
		t.Errorf("against its own list: %v", err)
	}
	rot(t, filepath.Join(dir, "a"))
	fails("a:", "--deep", dir)
	if err := os.WriteFile(list, []byte(strings.Repeat("0", 64)+want[64:]+strings.Repeat("0", 64)+"  missing\n"), 0600); err != nil {
		t.Fatal(err)
	}
	fails("missing: is in the list", "--check", list, dir)
	fails("the list says", "--check", list, dir)
	if err := os.WriteFile(filepath.Join(dir, "theirs"), []byte("x"), 0600); err != nil {
		t.Fatal(err)
	}
	fails("there is no such object", dir+"/nothing/")
	fails("line 1", "--check", filepath.Join(dir, "theirs"), dir)
}

// TestVerifyNoted: what an object says of itself in its metadata is compared with
// what the provider says, and with its bytes.
func TestVerifyNoted(t *testing.T) {
	dir := t.TempDir()
	s, err := dirstore.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	put := func(noted string) {
		t.Helper()
		if _, err := s.Put(t.Context(), "k", io.NewSectionReader(strings.NewReader("body"), 0, 4),
			objstore.PutOptions{Metadata: map[string]string{objstore.MetaSHA256: noted}}); err != nil {
			t.Fatal(err)
		}
	}
	right := fmt.Sprintf("%x", sha256.Sum256([]byte("body")))
	for _, noted := range []string{right, "nonsense"} {
		put(noted)
		if out, problems, err := verify(dir); err != nil || out != right+"  k\n" {
			t.Errorf("%q is noted: %v, %q, printed %q", noted, err, problems, out)
		}
	}
	put(strings.Repeat("0", 64))
	for _, args := range [][]string{{dir}, {"--deep", dir}} {
		if out, problems, err := verify(args...); err == nil || out != "" || !strings.Contains(problems, "its metadata say 000000") {
			t.Errorf("%v: %v, %q, printed %q", args, err, problems, out)
		}
	}
}

// rot changes a byte of a file as a failing disk does.
func rot(t *testing.T, path string) {
	t.Helper()
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("!"), 500); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, st.ModTime(), st.ModTime()); err != nil {
		t.Fatal(err)
	}
}

func sha256sumCheck(dir, list string) (string, error) {
	cmd := exec.Command("sha256sum", "-c", list)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// The check value of CRC-64/NVME in the catalogue of parametrised CRC algorithms.
func TestCRC64NVME(t *testing.T) {
	h := newHashes()
	io.WriteString(h, "123456789")
	if got := hexOf(h.crc64.Sum(nil)); got != "ae8b14860a799888" {
		t.Errorf("got %s", got)
	}
}
