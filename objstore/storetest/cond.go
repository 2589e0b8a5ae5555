package storetest

import "github.com/pailfs/pailfs/objstore"

var (
	condPut    = need{func(c objstore.Caps) bool { return c.CondPut }, "conditions on writes are not promised"}
	condCopy   = need{func(c objstore.Caps) bool { return c.CondCopy }, "conditions on copies are not promised"}
	condDelete = need{func(c objstore.Caps) bool { return c.CondDelete }, "conditions on deletes are not promised"}
	renames    = need{func(c objstore.Caps) bool { return c.AtomicRename }, "no rename in one call: a copy and a delete"}
)

var condTests = []test{
	{name: "PutAbsent", run: testPutAbsent, needs: condPut},
	{name: "PutVersion", run: testPutVersion, needs: condPut},
	{name: "CommitAbsent", run: testCommitAbsent, needs: condPut},
	{name: "CommitVersion", run: testCommitVersion, needs: condPut},
	{name: "CopySource", run: testCopySource},
	{name: "CopyDestination", run: testCopyDestination, needs: condCopy},
	{name: "Delete", run: testDeleteCond, needs: condDelete},
	{name: "Rename", run: testRenameCond, needs: renames},
}

var absent = objstore.Cond{Absent: true}

func version(o objstore.Object) objstore.Cond { return objstore.Cond{Version: o.Version} }

// tryPut is a Put under a condition.
func (f *fixture) tryPut(name, body string, cond objstore.Cond) (objstore.Object, error) {
	return f.s.Put(f.ctx, f.dir+name, section([]byte(body)), objstore.PutOptions{Cond: cond})
}

func testPutAbsent(f *fixture) {
	_, err := f.tryPut("k", "one", absent)
	f.must("put where nothing is", err)
	_, err = f.tryPut("k", "two", absent)
	f.wantKind("put over an object", err, objstore.ErrCond)
	f.want("k", []byte("one"))
	f.must("delete", f.s.Delete(f.ctx, f.dir+"k", objstore.Cond{}))
	_, err = f.tryPut("k", "three", absent)
	f.must("put where nothing is any more", err)
}

func testPutVersion(f *fixture) {
	one := f.put("k", []byte("one"), objstore.PutOptions{})
	two, err := f.tryPut("k", "two", version(one))
	f.must("put over the version", err)
	_, err = f.tryPut("k", "three", version(one))
	f.wantKind("put over another version", err, objstore.ErrCond)
	f.want("k", []byte("two"))
	_, err = f.tryPut("none", "x", version(two))
	f.wantKind("put over a version of nothing", err, objstore.ErrCond)
	f.wantAbsent("none")
}

// commitOne uploads one part under a condition.
func (f *fixture) commitOne(name, body string, cond objstore.Cond, before func()) (objstore.Object, error) {
	f.Helper()
	u := f.upload(name, objstore.PutOptions{Cond: cond})
	f.must("part", u.PutPart(f.ctx, 1, section([]byte(body))))
	if before != nil {
		before()
	}
	return u.Commit(f.ctx, 1)
}

// The condition of an upload counts at its commit, not at its start.
func testCommitAbsent(f *fixture) {
	_, err := f.commitOne("k", "one", absent, nil)
	f.must("commit where nothing is", err)
	_, err = f.commitOne("k", "two", absent, nil)
	f.wantKind("commit over an object", err, objstore.ErrCond)
	f.want("k", []byte("one"))

	_, err = f.commitOne("late", "mine", absent, func() { f.put("late", []byte("theirs"), objstore.PutOptions{}) })
	f.wantKind("commit over an object that came later", err, objstore.ErrCond)
	f.want("late", []byte("theirs"))
}

func testCommitVersion(f *fixture) {
	one := f.put("k", []byte("one"), objstore.PutOptions{})
	two, err := f.commitOne("k", "two", version(one), nil)
	f.must("commit over the version", err)
	_, err = f.commitOne("k", "three", version(one), nil)
	f.wantKind("commit over another version", err, objstore.ErrCond)
	f.want("k", []byte("two"))

	_, err = f.commitOne("k", "mine", version(two), func() { f.put("k", []byte("theirs"), objstore.PutOptions{}) })
	f.wantKind("commit over a version replaced meanwhile", err, objstore.ErrCond)
	f.want("k", []byte("theirs"))

	_, err = f.commitOne("none", "x", version(two), nil)
	f.wantKind("commit over a version of nothing", err, objstore.ErrCond)
	f.wantAbsent("none")
}

func testCopySource(f *fixture) {
	one := f.put("src", []byte("one"), objstore.PutOptions{})
	_, err := f.s.Copy(f.ctx, f.dir+"dst", f.dir+"src", objstore.CopyOptions{Src: one.Version})
	f.must("copy of the version", err)
	f.want("dst", []byte("one"))
	f.put("src", []byte("two"), objstore.PutOptions{})
	_, err = f.s.Copy(f.ctx, f.dir+"dst", f.dir+"src", objstore.CopyOptions{Src: one.Version})
	f.wantKind("copy of another version", err, objstore.ErrCond)
	f.want("dst", []byte("one"))
}

func testCopyDestination(f *fixture) {
	f.put("src", []byte("src"), objstore.PutOptions{})
	to := func(name string, cond objstore.Cond) error {
		_, err := f.s.Copy(f.ctx, f.dir+name, f.dir+"src", objstore.CopyOptions{Dst: cond})
		return err
	}
	f.must("copy to where nothing is", to("dst", absent))
	f.wantKind("copy over an object", to("dst", absent), objstore.ErrCond)
	old := f.put("dst", []byte("old"), objstore.PutOptions{})
	f.put("dst", []byte("new"), objstore.PutOptions{})
	f.wantKind("copy over another version", to("dst", version(old)), objstore.ErrCond)
	f.want("dst", []byte("new"))
	f.must("copy over the version", to("dst", version(f.stat("dst"))))
	f.want("dst", []byte("src"))
	f.wantKind("copy over a version of nothing", to("none", version(old)), objstore.ErrCond)
	f.wantAbsent("none")
}

func testDeleteCond(f *fixture) {
	one := f.put("k", []byte("one"), objstore.PutOptions{})
	two := f.put("k", []byte("two"), objstore.PutOptions{})
	f.wantKind("delete of another version", f.s.Delete(f.ctx, f.dir+"k", version(one)), objstore.ErrCond)
	f.want("k", []byte("two"))
	f.must("delete of the version", f.s.Delete(f.ctx, f.dir+"k", version(two)))
	f.wantAbsent("k")
	f.wantKind("delete of a version of nothing", f.s.Delete(f.ctx, f.dir+"k", version(two)), objstore.ErrCond)
}

func testRenameCond(f *fixture) {
	one := f.put("src", []byte("one"), objstore.PutOptions{})
	two := f.put("src", []byte("two"), objstore.PutOptions{})
	f.put("there", []byte("there"), objstore.PutOptions{})
	r := f.s.(objstore.Renamer)
	_, err := r.Rename(f.ctx, f.dir+"dst", f.dir+"src", objstore.CopyOptions{Src: one.Version})
	f.wantKind("rename of another version", err, objstore.ErrCond)
	_, err = r.Rename(f.ctx, f.dir+"there", f.dir+"src", objstore.CopyOptions{Dst: absent})
	f.wantKind("rename over an object", err, objstore.ErrCond)
	f.want("src", []byte("two"))
	f.want("there", []byte("there"))
	f.wantAbsent("dst")
	_, err = r.Rename(f.ctx, f.dir+"dst", f.dir+"src", objstore.CopyOptions{Src: two.Version, Dst: absent})
	f.must("rename", err)
	f.want("dst", []byte("two"))
	f.wantAbsent("src")
}
