package azstore

import (
	"context"
	"fmt"
	"io"
	"maps"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/internal/wire"
)

// upload is a blob of blocks that are staged at its own key, where nobody sees
// them. Each try of a part has a block of its own: one that arrives late cannot
// replace what was sent after it. The service drops a block that is not
// committed after a week, and as soon as anything else is committed at the key.
type upload struct {
	s   *Store
	key string
	opt objstore.PutOptions // but for Metadata

	first struct { // of the calls that stage
		sync.Mutex
		done bool
	}

	mu        sync.Mutex
	metadata  map[string]string
	names     names
	committed []block // of the object that is there now; nil if not of interest
	version   objstore.Version
	parts     map[int]part
	over      bool // committed or aborted
}

// part is a run of blocks, none where it is empty.
type part struct {
	ids  []string
	size int64
}

func (s *Store) NewUpload(ctx context.Context, key string, opt objstore.PutOptions) (objstore.Upload, error) {
	if err := checkKey("upload", key); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, s.classify("upload", key, err)
	}
	return &upload{s: s, key: key, opt: opt, metadata: maps.Clone(opt.Metadata), names: newNames(idBytes), parts: map[int]part{}}, nil
}

func (u *upload) SetMetadata(m map[string]string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.metadata = maps.Clone(m)
}

func (u *upload) PutPart(ctx context.Context, n int, body *io.SectionReader) error {
	if err := u.checkPart(n); err != nil {
		return err
	}
	if body.Size() > maxBlock {
		return &objstore.Error{Op: "part", Key: u.key, Kind: objstore.ErrUnsupported,
			Err: fmt.Errorf("%d bytes are more than a block holds", body.Size())}
	}
	if err := u.begin(ctx); err != nil {
		return u.s.classify("part", u.key, err)
	}
	p := part{size: body.Size()}
	if body.Size() > 0 { // there is no empty block
		id, err := u.stage(ctx, body)
		if err != nil {
			return u.s.classify("part", u.key, err)
		}
		p.ids = []string{id}
	}
	return u.add(n, p)
}

// stage sends one block. Its error is the SDK's.
func (u *upload) stage(ctx context.Context, body *io.SectionReader) (string, error) {
	check, err := u.s.validation(body, objstore.Checksums{})
	if err != nil {
		return "", err
	}
	return u.named(ctx, func(id string) error {
		_, err := u.s.blockBlob(u.key).StageBlock(ctx, id, sending(body), &blockblob.StageBlockOptions{TransactionalValidation: check})
		return err
	})
}

// named stages a block under a name of its own. All blocks that wait at one key
// must have names of one length: where another program has left some, ours take
// theirs.
func (u *upload) named(ctx context.Context, stage func(id string) error) (string, error) {
	u.mu.Lock()
	id := u.names.next()
	u.mu.Unlock()
	err := stage(id)
	if newFailure(err).code != bloberror.InvalidBlobOrBlock {
		return id, err
	}
	if err := u.likeWaiting(ctx); err != nil {
		return "", err
	}
	u.mu.Lock()
	id = u.names.next()
	u.mu.Unlock()
	return id, stage(id)
}

func (u *upload) checkPart(n int) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return wire.CheckPart(u.key, n, maxBlocks, u.over)
}

func (u *upload) add(n int, p part) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.over {
		return &objstore.Error{Op: "part", Key: u.key, Kind: objstore.ErrOther, Err: wire.ErrOver}
	}
	u.parts[n] = p
	return nil
}

// Commit leaves the upload open when it fails.
func (u *upload) Commit(ctx context.Context, last int) (objstore.Object, error) {
	u.mu.Lock()
	ids, size, err := u.list(last)
	opt := u.opt
	opt.Metadata = u.metadata
	u.mu.Unlock()
	if err != nil {
		return objstore.Object{}, objstore.NewError("commit", u.key, objstore.ErrOther, err)
	}
	ctx, t := watch(ctx)
	resp, err := u.s.blockBlob(u.key).CommitBlockList(ctx, ids, &blockblob.CommitBlockListOptions{
		HTTPHeaders:      headers(opt),
		Metadata:         encodeMetadata(opt.Metadata),
		Tier:             tier(opt.StorageClass),
		AccessConditions: conditions(opt.Cond),
	})
	if newFailure(err).code == bloberror.InvalidBlockList {
		err = objstore.NewError("commit", u.key, u.lost(ctx), err)
	}
	o := written(u.key, size, opt)
	if err != nil {
		if o, err = u.s.settle(ctx, t, "commit", u.key, size, opt, err); err != nil {
			return o, err
		}
	} else {
		o.Version, o.ModTime = version(resp.ETag), answered(resp.LastModified, resp.Date)
	}
	u.mu.Lock()
	u.over = true
	u.mu.Unlock()
	return o, nil
}

// lost is the kind of a commit whose blocks the service has no more: somebody
// else committed at the key, or they have waited for more than a week.
func (u *upload) lost(ctx context.Context) error {
	p, err := u.s.properties(ctx, u.key)
	switch {
	case err != nil && gone(err) && u.opt.Cond.Version == "":
		return objstore.ErrOther
	case err == nil && u.opt.Cond.Version != "" && version(p.ETag) == u.opt.Cond.Version:
		return objstore.ErrOther
	}
	return objstore.ErrCond
}

// list returns the blocks of parts 1 to last and the bytes in them.
func (u *upload) list(last int) ([]string, int64, error) {
	run, err := wire.Run(u.parts, last, u.over)
	if err != nil {
		return nil, 0, err
	}
	var size int64
	ids := []string{}
	for _, p := range run {
		ids, size = append(ids, p.ids...), size+p.size
	}
	if len(ids) > maxBlocks {
		return nil, 0, &objstore.Error{Op: "commit", Key: u.key, Kind: objstore.ErrUnsupported,
			Err: fmt.Errorf("%d blocks are more than a blob holds", len(ids))}
	}
	return ids, size, nil
}

// Abort forgets the blocks; there is no request that drops them, and the service
// does so by itself (Put Block in the REST reference: after a week).
func (u *upload) Abort(context.Context) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.over, u.parts = true, nil
	return nil
}
