package fs

import (
	"errors"
	"strings"
	"testing"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/faultstore"
	"github.com/pailfs/pailfs/objstore/memstore"
)

// refused runs commands each of which must fail for this reason.
func (m *mounted) refused(reason string, commands ...string) {
	m.Helper()
	for _, c := range commands {
		if out, err := m.try("LC_ALL=C; " + c); err == nil || !strings.Contains(out, reason) {
			m.Errorf("%s: %v, %q, want %q", c, err, out, reason)
		}
	}
}

func TestCreateOnly(t *testing.T) {
	m, faults := counting(t, Options{CreateOnly: true})
	m.put("old", "theirs", nil)
	m.put("dir/", "", nil)
	m.sh(`ls -l . dir >/dev/null
		echo new > new; { echo a; echo b; } > group; cp -p new copy; mkdir made; echo x > made/x
		python3 -c 'import os; f = os.open("new", os.O_RDWR); os.fsync(f); os.close(f)'`)
	m.refused("File exists", `echo x > old`, `echo x >> old`, `dd if=/dev/zero of=old bs=1 count=1 conv=notrunc`,
		`echo x > new`, `truncate -s 3 old`, `mv new old`, `mv -T made/x group`)
	m.refused("Operation not permitted", `chmod 600 old`, `python3 -c 'import os; os.utime("old", (1, 1))'`, `setfattr -n user.a -v b old`, `chmod 700 dir`)
	m.wantObject("old", "theirs")
	m.wantObject("new", "new\n")
	m.wantObject("group", "a\nb\n")
	m.wantObject("copy", "new\n")
	m.sh(`mv new renamed; mv made moved; rm copy`)
	m.wantKeys("dir/", "group", "moved/", "moved/x", "old", "renamed")
	// The store decides, also of what this mount has not seen.
	faults.Reset()
	m.put("late", "theirs", nil)
	if out, err := m.try(`cp group late`); err == nil {
		t.Errorf("written over an object: %s", out)
	}
	m.wantObject("late", "theirs")

	inner := memstore.New(memstore.Options{Caps: func(c *objstore.Caps) { c.CondPut = false }})
	if _, err := Mount(t.TempDir(), Options{Store: inner, CreateOnly: true}); !errors.Is(err, errNoConditions) {
		t.Errorf("mounted on a store without conditions: %v", err)
	}
}

func TestNoDelete(t *testing.T) {
	m, faults := counting(t, Options{NoDelete: true})
	m.put("old", "theirs", nil)
	m.put("dir/x", "theirs", nil)
	m.sh(`mkdir empty; echo new > new; echo more >> old; cp new old2; : > old2`)
	m.refused("Operation not permitted", `rm old`, `rm dir/x`, `rmdir empty`, `mv old other`, `mv dir other`, `unlink new`)
	m.wantKeys("dir/x", "empty/", "new", "old", "old2")
	m.wantObject("old", "theirsmore\n")
	if n := faults.Count(faultstore.Delete, ""); n != 0 {
		t.Errorf("%d objects were deleted", n)
	}
	// What is in no store yet can go.
	m.sh(`python3 -c 'import os; f = os.open("tmp", os.O_WRONLY | os.O_CREAT); os.unlink("tmp")'`)
	m.wantKeys("dir/x", "empty/", "new", "old", "old2")
}
