package draft

import "github.com/pailfs/pailfs/objstore"

// Clone returns the draft of a file that was never committed and has the content
// of obj, which stays where it is. Committing it is a copy inside the provider.
func (p *Pool) Clone(obj objstore.Object) *Draft {
	return p.draft(func(d *Draft) {
		d.size = obj.Size
		d.changed = true
		d.pieces.set(piece{0, obj.Size, &source{obj: obj}, 0})
	})
}
