package fs

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/pailfs/pailfs/cache"
	"github.com/pailfs/pailfs/objstore/faultstore"
)

// Small files that are read one after the other do not cost a round trip each,
// in whichever order the program takes them. PAILFS_TEST_OBJECTS sets how many.
func TestSmallFilesArePrefetched(t *testing.T) {
	n, latency := 100, 300*time.Millisecond
	if v := os.Getenv("PAILFS_TEST_OBJECTS"); v != "" {
		var err error
		if n, err = strconv.Atoi(v); err != nil {
			t.Fatal(err)
		}
	}
	for name, script := range map[string]string{
		"tar":        "tar -cf - d | tar -xf - -C $out",
		"cp":         "cp -r d $out/d",
		"cat":        "mkdir $out/d; for f in d/*; do cat $f > $out/$f; done",
		"cat and rm": "mkdir $out/d; for f in d/*; do cat $f > $out/$f; rm $f; done",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, faults := cached(t, Options{}, cache.Options{})
			for i := range n {
				m.put(fmt.Sprintf("d/f%04d", i), fmt.Sprintf("%020000d\n", i), nil)
			}
			faults.Add(faultstore.Rule{Op: faultstore.Get, Delay: latency})
			out := t.TempDir()
			begun := time.Now()
			m.sh("out=" + out + "; " + script)
			took, serial := time.Since(begun), time.Duration(n)*latency
			t.Logf("%v, one by one %v", took, serial)
			if took > serial/2 { // a busy machine starts a program slowly
				t.Errorf("%d files took %v, one by one they take %v", n, took, serial)
			}
			if got := m.sh("cat " + out + "/d/* | wc -lc"); got != fmt.Sprintf("%7d %7d\n", n, n*20001) {
				t.Errorf("%d files were read as (lines, bytes) %q", n, got)
			}
			if gets := faults.Count(faultstore.Get, "*"); gets > n+n/10 {
				t.Errorf("%d Gets of %d files", gets, n)
			}
		})
	}
}
