package fs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/pailfs/pailfs/fs/draft"
	"github.com/pailfs/pailfs/objstore"
)

// dirMove is a rename of a directory under way: a line of the registry, from
// before the first copy until all is as before or all is done.
type dirMove struct{ From, To string } // prefixes

// beginDirMove notes the rename on the local disk. end is called when nothing is
// left to do, not after a failure half-way: then the next mount does the rest.
func (m *mount) beginDirMove(src, dst string) (end func(), err error) {
	entry, err := json.Marshal(dirMove{src, dst})
	if err == nil {
		err = m.registry.Begin(string(entry))
	}
	if err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	return func() {
		if err := m.registry.End(string(entry)); err != nil {
			m.log.Warn("state directory", "err", err)
		}
	}, nil
}

// settleOrphan ends what a dead mount has begun: a rename, or the use of a prefix
// of private keys.
func (m *mount) settleOrphan(ctx context.Context, entry string) error {
	var move dirMove
	if !strings.HasPrefix(entry, "{") {
		return m.removeBelow(ctx, entry)
	}
	if err := json.Unmarshal([]byte(entry), &move); err != nil {
		return nil // cut short by a crash: nothing was done yet
	}
	return m.settleDirMove(ctx, move)
}

// settleDirMove finishes a rename of which all was copied, and undoes any other.
// Only objects whose twin is under the other name are removed, so whatever
// anybody did there meanwhile, no content is lost.
func (m *mount) settleDirMove(ctx context.Context, move dirMove) error {
	var twins, copies []movedObject // to is what may go
	all := true
	for o, err := range objstore.ListAll(ctx, m.store, objstore.ListRequest{Prefix: move.From}) {
		if err != nil {
			return err
		}
		from, to, same, err := m.twin(ctx, o.Key, move.To+o.Key[len(move.From):])
		switch {
		case err != nil:
			return err
		case same:
			twins, copies = append(twins, movedObject{from: from.Key, to: from}), append(copies, movedObject{from: to.Key, to: to})
		default:
			all = false
		}
	}
	remove, how := twins, "finished"
	if !all {
		remove, how = copies, "undone"
	}
	if err := m.removeAll(ctx, remove, func(o movedObject) string { return o.from }); err != nil {
		return err
	}
	if len(remove) > 0 {
		m.log.Info("the rename of a directory, broken off by a dead mount, is "+how, "from", move.From, "to", move.To, "removed", len(remove))
	}
	return nil
}

// twin looks at two objects and reports whether both are there and the same.
func (m *mount) twin(ctx context.Context, from, to string) (a, b objstore.Object, same bool, err error) {
	if a, err = m.store.Stat(ctx, from); err == nil {
		b, err = m.store.Stat(ctx, to)
	}
	if errors.Is(err, objstore.ErrNotFound) {
		return a, b, false, nil
	}
	return a, b, err == nil && sameContent(a, b), err
}

// sameContent reports whether one object is a copy of the other as far as can be
// told without reading them; when in doubt it is not.
func sameContent(a, b objstore.Object) bool {
	if a.Size != b.Size || !maps.Equal(a.Metadata, b.Metadata) {
		return false
	}
	known := a.Size == 0 || a.Version == b.Version
	for _, c := range [][2][]byte{
		{a.Checksums.SHA256, b.Checksums.SHA256}, {a.Checksums.MD5, b.Checksums.MD5},
		{a.Checksums.CRC32C, b.Checksums.CRC32C}, {a.Checksums.CRC64NVME, b.Checksums.CRC64NVME},
	} {
		if c[0] == nil || c[1] == nil {
			continue
		}
		if !bytes.Equal(c[0], c[1]) {
			return false
		}
		known = true
	}
	// An object that pailfs wrote carries the id of its commit.
	return known || a.Metadata[draft.MetaID] != ""
}
