package fs

import (
	"log/slog"
	"maps"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/memstore"
)

func testMount(opt Options) *mount {
	if opt.Store == nil {
		opt.Store = memstore.New(memstore.Options{})
	}
	opt.Log = slog.New(slog.DiscardHandler)
	opt.setDefaults()
	return newMount(opt)
}

func TestAttributesSurviveMetadata(t *testing.T) {
	m := testMount(Options{UID: 7, GID: 8})
	rapid.Check(t, func(t *rapid.T) {
		want := attr{
			mode:     rapid.Uint32Range(0, 07777).Draw(t, "mode") | syscall.S_IFREG,
			uid:      rapid.Uint32().Draw(t, "uid"),
			gid:      rapid.Uint32().Draw(t, "gid"),
			mtime:    time.Unix(rapid.Int64Range(-1<<33, 1<<40).Draw(t, "s"), rapid.Int64Range(0, 999999999).Draw(t, "ns")),
			xattr:    rapid.MapOfN(rapid.StringMatching(`user\.[a-zA-Z:;"%é]{1,8}`), rapid.SliceOfN(rapid.Byte(), 0, 9), 1, 3).Draw(t, "xattr"),
			foreign:  map[string]string{"other": rapid.String().Draw(t, "foreign")},
			own:      true,
			mtimeSet: true,
		}
		must, soft := want.encode()
		if soft != nil {
			t.Fatalf("soft = %v for an mtime that was set", soft)
		}
		got := m.decodeAttr(objstore.Object{Metadata: must}, syscall.S_IFREG)
		for name, v := range got.xattr {
			if len(v) == 0 {
				got.xattr[name] = []byte{}
			}
		}
		for name, v := range want.xattr {
			if len(v) == 0 {
				want.xattr[name] = []byte{}
			}
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(attr{})); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestMetadataOfOtherPrograms(t *testing.T) {
	m := testMount(Options{UID: 7, GID: 8})
	mod := time.Unix(1000, 0)
	for _, c := range []struct {
		name string
		meta map[string]string
		want attr
	}{
		{"none", nil, attr{mode: 0100644, uid: 7, gid: 8, mtime: mod}},
		{"s3fs", map[string]string{"mode": "33152", "uid": "33", "gid": "34", "mtime": "1700000000.5"},
			attr{mode: 0100600, uid: 33, gid: 34, mtime: time.Unix(1700000000, 500000000), own: true, mtimeSet: true}},
		{"s3fs symlink", map[string]string{"mode": "41471"}, attr{mode: 0120777, uid: 7, gid: 8, mtime: mod, own: true}},
		{"rclone", map[string]string{"mtime": "2023-11-14T22:13:20.25Z", "mode": "0100640"},
			attr{mode: 0100640, uid: 7, gid: 8, mtime: time.Unix(1700000000, 250000000), own: true, mtimeSet: true}},
		{"rclone s3", map[string]string{"mtime": "1700000000.123456789"},
			attr{mode: 0100644, uid: 7, gid: 8, mtime: time.Unix(1700000000, 123456789), mtimeSet: true}},
		{"nonsense", map[string]string{"mode": "x", "uid": "-1", "gid": "99999999999", "mtime": "yesterday", "xattr": "%zz"},
			attr{mode: 0100644, uid: 7, gid: 8, mtime: mod}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := m.decodeAttr(objstore.Object{ModTime: mod, Metadata: c.meta}, syscall.S_IFREG)
			foreign := got.foreign
			got.ctime, got.foreign = time.Time{}, nil
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(attr{})); diff != "" {
				t.Error(diff)
			}
			if c.name == "nonsense" && !maps.Equal(foreign, c.meta) {
				t.Errorf("what was not understood is not carried along: %v", foreign)
			}
		})
	}
}

func TestModeIsDecimalAsInS3fs(t *testing.T) {
	a := attr{mode: 0100640}
	must, soft := a.encode()
	if must["mode"] != strconv.Itoa(0100640) {
		t.Errorf("mode = %q", must["mode"])
	}
	if _, ok := soft["mtime"]; !ok {
		t.Error("an mtime that nobody set is not soft")
	}
}

func FuzzDecodeAttr(f *testing.F) {
	m := testMount(Options{})
	f.Add("mode", "33188")
	f.Add("xattr", "%7B%22user.a%22%3A%22YQ%3D%3D%22%7D")
	f.Add("mtime", "-1.5")
	f.Fuzz(func(t *testing.T, name, value string) {
		a := m.decodeAttr(objstore.Object{Metadata: map[string]string{name: value}}, syscall.S_IFREG)
		if t0 := a.fileType(); t0 != syscall.S_IFREG && t0 != syscall.S_IFLNK {
			t.Errorf("file type %o", t0)
		}
		a.encode()
	})
}
