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

// move is a rename under way that takes several requests: a line of the registry,
// from before the first copy until all is as before or all is done.
type move struct {
	From, To string           // keys; those of directories end in a slash
	Over     bool             `json:",omitempty"` // an empty directory was there
	Version  objstore.Version `json:",omitempty"` // of a file
}

// beginMove notes the rename on the local disk. end is called when nothing is
// left to do, not after a failure half-way: then the next mount does the rest.
func (m *mount) beginMove(mv move) (end func(), err error) {
	entry, err := json.Marshal(mv)
	if err == nil && strings.HasSuffix(mv.From, "/") {
		err = m.moves.Begin(string(entry))
	} else if err == nil {
		// No sync: after a power failure a file may be there under both names.
		err = m.moves.Note(string(entry))
	}
	if err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	return func() {
		if err := m.moves.End(string(entry)); err != nil {
			m.log.Warn("state directory", "err", err)
		}
	}, nil
}

// possible reports that a rename may be what beginMove wrote down: from one place
// to another, neither within the other.
func (mv move) possible() bool {
	dir := strings.HasSuffix(mv.From, "/")
	within := dir && (strings.HasPrefix(mv.From, mv.To) || strings.HasPrefix(mv.To, mv.From))
	return mv.From != "" && mv.To != "" && mv.From != mv.To && dir == strings.HasSuffix(mv.To, "/") && !within
}

// settleOrphan ends what a dead mount has begun: a rename, or the use of a prefix
// of private keys. The line comes from a disk: one that no mount can have written
// does nothing.
func (m *mount) settleOrphan(ctx context.Context, entry string) error {
	var mv move
	switch {
	case strings.HasPrefix(entry, privateKeys) && len(entry) > len(privateKeys):
		return m.removeBelow(ctx, entry)
	case json.Unmarshal([]byte(entry), &mv) != nil || !mv.possible():
		m.log.Warn("a line in the state directory makes no sense and is left out", "line", entry)
		return nil
	case strings.HasSuffix(mv.From, "/"):
		return m.settleDirMove(ctx, mv)
	}
	return m.settleFileMove(ctx, mv)
}

// settleFileMove removes the old name of a file if the new one is there.
func (m *mount) settleFileMove(ctx context.Context, mv move) error {
	from, _, same, err := m.twin(ctx, mv.From, mv.To)
	if err != nil || !same || from.Version != mv.Version {
		return err
	}
	m.log.Info("the rename of a file, broken off by a dead mount, is finished", "from", mv.From, "to", mv.To)
	return m.deleteVersion(ctx, from)
}

// settleDirMove finishes a rename of which all was copied, and undoes any other.
// Only objects whose twin is under the other name are removed, so whatever
// anybody did there meanwhile, no content is lost.
func (m *mount) settleDirMove(ctx context.Context, mv move) error {
	var twins, copies []objstore.Object
	all := true
	for o, err := range objstore.ListAll(ctx, m.store, objstore.ListRequest{Prefix: mv.From}) {
		if err != nil {
			return err
		}
		from, to, same, err := m.twin(ctx, o.Key, mv.To+o.Key[len(mv.From):])
		if err != nil {
			return err
		}
		all = all && same
		if same {
			twins = append(twins, from)
		}
		if (same || bare(to)) && !(mv.Over && to.Key == mv.To) {
			copies = append(copies, to)
		}
	}
	remove, how := twins, "finished"
	if !all {
		remove, how = copies, "undone"
	}
	if err := m.removeAll(ctx, remove); err != nil {
		return err
	}
	if len(remove) > 0 {
		m.log.Info("the rename of a directory, broken off by a dead mount, is "+how, "from", mv.From, "to", mv.To, "removed", len(remove))
	}
	return nil
}

// bare reports whether an object is that of an empty directory without attributes,
// as stores that keep objects as files make it for the first file in it.
func bare(o objstore.Object) bool {
	return strings.HasSuffix(o.Key, "/") && o.Size == 0 && len(o.Metadata) == 0
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
