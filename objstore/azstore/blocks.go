package azstore

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"

	"github.com/pailfs/pailfs/objstore"
)

const (
	idBytes = 16 // of a block's name, before base64: a nonce of 12 and a number of 4
	numeral = 4

	// Names shorter than this have no room for a nonce that nobody else has; the
	// service allows 64.
	minIDBytes, maxIDBytes = 12, 64

	// keepAtMost is how many blocks an object may have for us to keep them one
	// by one: beyond, there would be too little room for more.
	keepAtMost = maxBlocks / 2
)

// names makes the names of the blocks of one upload, all of one length.
type names struct {
	prefix []byte
	count  uint32
}

func newNames(length int) names {
	n := names{prefix: make([]byte, length-numeral)}
	rand.Read(n.prefix)
	return n
}

func (n *names) next() string {
	n.count++
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(n.prefix[:len(n.prefix):len(n.prefix)], n.count))
}

// like returns names as long as another. A blob cannot have blocks with names of
// different lengths ("Put Block" in the REST reference).
func like(id string) (names, error) {
	raw, err := base64.StdEncoding.DecodeString(id)
	if err != nil || len(raw) < minIDBytes || len(raw) > maxIDBytes {
		return names{}, fmt.Errorf("another program's blocks wait to be committed to this blob, and ours cannot go with names like %q: commit or replace it with that program, or wait a week", id)
	}
	return newNames(len(raw)), nil
}

// block is one block of the object that is there.
type block struct {
	id        string
	off, size int64
}

// begin looks, before the first block, at those of the object that is to be
// replaced: it may be that most of them stay.
func (u *upload) begin(ctx context.Context) error {
	if u.opt.Cond.Version == "" {
		return nil
	}
	u.first.Lock()
	defer u.first.Unlock()
	if u.first.done {
		return nil
	}
	list, err := u.s.blockBlob(u.key).GetBlockList(ctx, blockblob.BlockListTypeCommitted, nil)
	switch {
	case err != nil && gone(err): // the commit will tell
		u.first.done = true
		return nil
	case err != nil:
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.first.done = true
	u.version = version(list.ETag)
	if len(list.CommittedBlocks) == 0 || len(list.CommittedBlocks) > keepAtMost {
		return nil
	}
	n, err := like(value(list.CommittedBlocks[0].Name))
	if err != nil {
		return nil // then they cannot stay
	}
	u.names = n
	var off int64
	for _, b := range list.CommittedBlocks {
		u.committed = append(u.committed, block{value(b.Name), off, value(b.Size)})
		off += value(b.Size)
	}
	return nil
}

// likeWaiting gives names to our blocks that go with those which wait at the key.
func (u *upload) likeWaiting(ctx context.Context) error {
	list, err := u.s.blockBlob(u.key).GetBlockList(ctx, blockblob.BlockListTypeUncommitted, nil)
	if err != nil {
		return err
	}
	if len(list.UncommittedBlocks) == 0 {
		return errors.New("no other program's blocks wait at the key")
	}
	n, err := like(value(list.UncommittedBlocks[0].Name))
	if err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.names, u.committed = n, nil // which no longer go with ours
	return nil
}

// kept returns the blocks of the object at our key that lie within r, and what
// they leave of it at both ends. None is all of r at the left.
func (u *upload) kept(src string, v objstore.Version, r objstore.Range) (ids []string, left, right objstore.Range) {
	u.mu.Lock()
	defer u.mu.Unlock()
	left = r
	if src != u.key || u.version == "" || v != "" && v != u.version || u.opt.Cond.Version != u.version {
		return nil, left, right
	}
	end := r.Off + r.Len
	for _, b := range u.committed {
		if b.off < r.Off || b.off+b.size > end {
			continue
		}
		if ids == nil {
			left.Len = b.off - r.Off
		}
		ids = append(ids, b.id)
		right = objstore.Range{Off: b.off + b.size, Len: end - b.off - b.size}
	}
	return ids, left, right
}
