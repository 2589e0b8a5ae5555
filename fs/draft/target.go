package draft

import (
	"maps"

	"github.com/pailfs/pailfs/objstore"
)

// Target says where and how a draft is committed.
type Target struct {
	Key          string
	Cond         objstore.Cond
	ContentType  string
	StorageClass string

	// Metadata is what the object must carry after the commit, exactly, apart
	// from MetaID, objstore.MetaSHA256 and Soft. For a draft with no change, nil means that any will do.
	Metadata map[string]string

	// Soft is added where that costs no extra request: to a single Put, to an
	// upload that has not begun, or where metadata may be set late.
	Soft map[string]string
}

// metadata is all that is asked for, under the id of one write.
func (t Target) metadata(id string) map[string]string {
	m := maps.Clone(t.Soft)
	if m == nil {
		m = map[string]string{}
	}
	maps.Copy(m, t.Metadata)
	delete(m, objstore.MetaSHA256) // of other bytes
	m[MetaID] = id
	return m
}

// put is how t is asked of a store. One that knows no conditions is not told any;
// see Draft.holds.
func (t Target) put(id string, caps objstore.Caps) objstore.PutOptions {
	cond := t.Cond
	if !caps.CondPut {
		cond = objstore.Cond{}
	}
	return objstore.PutOptions{Cond: cond, ContentType: t.ContentType, StorageClass: t.StorageClass, Metadata: t.metadata(id)}
}

// accepts reports whether an object that carries m is as t asks. Names in soft
// may be there with any value.
func (t Target) accepts(m, soft map[string]string) bool {
	for k, v := range t.Metadata {
		if has, ok := m[k]; !ok || has != v {
			return false
		}
	}
	for k := range m {
		_, wanted := t.Metadata[k]
		_, was := soft[k]
		_, is := t.Soft[k]
		if !wanted && !was && !is && k != MetaID && k != objstore.MetaSHA256 {
			return false
		}
	}
	return true
}
