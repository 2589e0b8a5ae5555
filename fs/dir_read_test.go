package fs

import (
	"fmt"
	"os/exec"
	"slices"
	"testing"
)

// A file that is there all the time is in the listing, also where it is committed
// while the directory is being read: with its page, or after that.
func TestListingWhileAFileIsCommitted(t *testing.T) {
	for _, remembered := range []bool{false, true} {
		t.Run(fmt.Sprint("remembered ", remembered), func(t *testing.T) {
			m := mountStore(t, Options{})
			m.put("a", "a", nil)
			m.put("b", "b", nil)
			c := exec.Command("python3", "-c", `import sys
mine, gone = open("mine", "w"), open("gone", "w")
mine.write("mine\n"); mine.flush(); print(flush=True); sys.stdin.read()`)
			c.Dir = m.dir
			in, err := c.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out, err := c.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			if _, err := out.Read(make([]byte, 1)); err != nil { // the files are open
				t.Fatal(err)
			}
			if root := m.server.m.root; root.localFile("mine") == nil {
				t.Fatal("it is committed already")
			}
			if remembered {
				m.sh(`ls -l`)
			}
			root := m.server.m.root
			fh, _, _ := root.OpendirHandle(t.Context(), 0)
			h := fh.(*dirHandle)
			defer h.close()
			var names []string
			next := func() bool {
				e, en := h.Readdirent(t.Context())
				if en != 0 {
					t.Fatal(en)
				}
				if e != nil {
					names = append(names, e.Name)
				}
				return e != nil
			}
			next()
			m.sh(`rm gone`)
			in.Close()
			if err := c.Wait(); err != nil {
				t.Fatal(err)
			}
			m.waitFor(func() bool { return root.localFile("mine") == nil })
			m.wantObject("mine", "mine\n")
			for next() {
			}
			if want := []string{"a", "b", "mine"}; !slices.Equal(names, want) {
				t.Errorf("listed %q, want %q", names, want)
			}
		})
	}
}
