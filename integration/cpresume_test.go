package integration

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pailfs/pailfs/objstore"
)

// countedWriter counts what passes.
type countedWriter struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (c countedWriter) Write(b []byte) (int, error) {
	n, err := c.ResponseWriter.Write(b)
	c.n.Add(int64(n))
	return n, err
}

// TestCopyGoesOn: pailfs cp that was killed in the middle of a large object fetches
// the rest of it when it runs again, and all of an object that was replaced.
func TestCopyGoesOn(t *testing.T) {
	t.Parallel()
	const part, whole = 16 << 20, 3 // parts that arrive before the end
	content := noise(1, 5*part)
	for name, replaced := range map[string]bool{"same": false, "replaced": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, "s3")
			proxy := newFaultProxy(t, p.bucket.endpoint.URL)
			_, err := p.store(t).Put(t.Context(), "big", section(content), objstore.PutOptions{})
			check(t, err)
			from := strings.Replace(p.bucket.source("http://"+proxy.addr), "?", "/big?", 1)
			to := filepath.Join(tempDir(t), "big")

			var ranges atomic.Int64
			proxy.begin(func(w http.ResponseWriter, r *http.Request, pass http.Handler, lifted <-chan struct{}) {
				if r.Header.Get("Range") != "" && ranges.Add(1) > whole {
					faultStall(w, r, pass, lifted)
				}
				pass.ServeHTTP(w, r)
			})
			bin, err := binary()
			check(t, err)
			cmd := command(t.Context(), bin, "cp", from, to)
			cmd.Env = append(os.Environ(), p.env...)
			check(t, cmd.Start())
			arrived := func() int {
				text, _ := os.ReadFile(to + ".pailfs-parts")
				return bytes.Count(text, []byte("\n")) - 1 // the first line tells of the object
			}
			await(t, "the first parts", func() bool { return arrived() >= whole })
			check(t, cmd.Process.Kill())
			cmd.Wait()
			if _, err := os.Stat(to); !os.IsNotExist(err) {
				t.Errorf("half a file has its name: %v", err)
			}

			want, rest := content, len(content)-whole*part
			if replaced {
				want = noise(2, len(content))
				rest = len(want)
				_, err := p.store(t).Put(t.Context(), "big", section(want), objstore.PutOptions{})
				check(t, err)
			}
			proxy.lift(t)
			var moved atomic.Int64
			proxy.begin(func(w http.ResponseWriter, r *http.Request, pass http.Handler, _ <-chan struct{}) {
				pass.ServeHTTP(countedWriter{w, &moved}, r)
			})
			if out, err := p.pailfs("cp", from, to); err != nil {
				t.Fatalf("again: %v\n%s", err, out)
			}
			if n := moved.Load(); n < int64(rest) || n > int64(rest)+100_000 {
				t.Errorf("%d bytes were moved, %d were missing", n, rest)
			}
			if got, err := os.ReadFile(to); err != nil || differs(got, want) {
				t.Errorf("the copy: %v, %s", err, differ(want, got))
			}
			if left, err := os.ReadDir(filepath.Dir(to)); err != nil || len(left) != 1 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}
