package draft

import "github.com/pailfs/pailfs/fs/staging"

// dropToDisk moves changed bytes to the cache directory, as far as its limit
// allows. The caller holds mu.
func (d *Draft) dropToDisk(want int64) int64 {
	if d.p.opt.Dir == "" || d.spilling != nil {
		return 0
	}
	var list []staging.Extent
	var sum int64
	for e := range d.dirty.All() {
		for _, f := range d.still(nil, e.Off, e.End) {
			if sum < want {
				list = append(list, f)
				sum += f.Len()
			}
		}
	}
	var freed int64
	for _, e := range list {
		freed += d.toDisk(e.Off, e.End)
	}
	return freed
}

// toDisk moves the staged bytes of [off, end), chunk by chunk. The caller holds mu.
func (d *Draft) toDisk(off, end int64) int64 {
	if d.p.opt.Dir == "" {
		return 0
	}
	var freed int64
	buf := make([]byte, min(window, end-off))
	for _, s := range d.segs(off, end, &d.dirty) {
		for lo := s.off; s.kind == staged && lo < s.end; lo += int64(len(buf)) {
			n, ok := d.chunkToDisk(buf[:min(int64(len(buf)), s.end-lo)], lo)
			freed += n
			if !ok {
				return freed
			}
		}
	}
	return freed
}

func (d *Draft) chunkToDisk(b []byte, off int64) (freed int64, ok bool) {
	end := off + int64(len(b))
	cost := d.disk.Cost(off, end)
	if !d.p.disk.try(cost) {
		return 0, false
	}
	_, err := d.file.ReadAt(b, off)
	grown := int64(0)
	if err == nil {
		grown, err = d.disk.Write(b, off)
	}
	d.p.disk.release(cost - grown)
	if err != nil {
		d.p.log.Warn("cache directory does not take staged bytes", "dir", d.p.opt.Dir, "err", err)
		return 0, false
	}
	d.setPiece(piece{off, end, d.diskSrc, off})
	d.dirty.Remove(off, end)
	return d.drop(off, end), true
}
