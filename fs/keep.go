package fs

import (
	"github.com/pailfs/pailfs/cache"
	"github.com/pailfs/pailfs/fs/draft"
	"github.com/pailfs/pailfs/objstore"
)

// keep gives the cache what is still at hand of a draft that was committed as
// obj: who reads it next need not fetch what we have just sent.
func (m *mount) keep(obj objstore.Object, dr *draft.Draft) {
	if dr.Dirty() || dr.Size() != obj.Size {
		return
	}
	b := make([]byte, min(cache.BlockSize, obj.Size))
	for off := int64(0); off < obj.Size; off += cache.BlockSize {
		part := b[:min(cache.BlockSize, obj.Size-off)]
		if dr.ReadNear(part, off) {
			m.opt.Cache.Put(obj, part, off)
		}
	}
}
