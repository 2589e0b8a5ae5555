package dirstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"sync"

	"github.com/pailfs/pailfs/objstore"
)

// upload assembles a file from parts, each written where it is expected to
// belong once all sizes are known. Parts that turned out to belong elsewhere
// are moved at the commit.
type upload struct {
	s    *Store
	p    place
	opt  objstore.PutOptions // Metadata is guarded by mu
	main *temp
	key  *temp // its name tells AbortStale what the upload is for

	mu     sync.Mutex
	parts  map[int]*part
	strays *temp // for parts whose place in main is taken; nil until needed
	tail   int64 // end of strays
	over   bool  // committed or aborted
	layout layout
}

// part is one part; its fields are guarded by upload.mu, while its bytes are
// written by the holder of busy.
type part struct {
	busy sync.Mutex

	stray bool  // in strays, else in main
	off   int64 // where it is
	room  int64 // bytes that are its own from there on
	size  int64
	sums  []sum
	done  bool // written as a whole
}

// NewUpload begins an object assembled from parts.
func (s *Store) NewUpload(ctx context.Context, key string, opt objstore.PutOptions) (objstore.Upload, error) {
	if err := s.enter(ctx, "upload", key); err != nil {
		return nil, err
	}
	defer s.leave()
	p, err := at("upload", key)
	if err != nil {
		return nil, err
	}
	if p.marker {
		return nil, fail("upload", key, objstore.ErrUnsupported, "a directory holds no bytes")
	}
	name := fmt.Sprintf("up-%016x", rand.Uint64())
	main, err := s.newTempNamed(name)
	if err != nil {
		return nil, classify("upload", key, err)
	}
	note, err := s.newTempNamed(name + keySuffix)
	if err == nil {
		_, err = note.file.WriteString(key)
	}
	if err != nil {
		main.discard()
		if note != nil {
			note.discard()
		}
		return nil, classify("upload", key, err)
	}
	opt.Metadata = maps.Clone(opt.Metadata)
	return &upload{s: s, p: p, opt: opt, main: main, key: note, parts: map[int]*part{}}, nil
}

// PutPart sends part n.
func (u *upload) PutPart(ctx context.Context, n int, body *io.SectionReader) error {
	return u.part(ctx, n, body.Size(), func(t *temp, off int64) ([]sum, error) {
		sums := newSummer()
		if err := t.write(ctx, off, body, sums); err != nil {
			return nil, err
		}
		return sums.finish(), nil
	})
}

// CopyPart makes part n from range r of src, sharing the blocks where the file
// system can.
func (u *upload) CopyPart(ctx context.Context, n int, src string, v objstore.Version, r objstore.Range) error {
	if err := u.s.enter(ctx, "part", src); err != nil {
		return err
	}
	defer u.s.leave()
	from, err := at("part", src)
	if err != nil {
		return err
	}
	if from.marker {
		return fail("part", src, objstore.ErrRange, "a marker has no bytes")
	}
	in, err := u.s.openSource("part", from)
	if err != nil {
		return err
	}
	defer in.file.Close()
	if err := holdsVersion("part", in.o, v); err != nil {
		return err
	}
	size, err := cut("part", in.o, r)
	if err != nil {
		return err
	}
	if r.Len >= 0 && size != r.Len {
		return fail("part", src, objstore.ErrRange, "%d bytes from %d of %d", r.Len, r.Off, in.o.Size)
	}
	return u.part(ctx, n, size, func(t *temp, off int64) ([]sum, error) {
		sums, err := sumsOf(ctx, src, in.file, in.rec.sums, r.Off, size)
		if err != nil {
			return nil, err
		}
		if err := copyRange(ctx, t.file, off, in.file, r.Off, size); err != nil {
			return nil, err
		}
		return sums, in.unchanged()
	})
}

// part lets write write the size bytes of part n. A part whose rewrite fails is
// missing.
func (u *upload) part(ctx context.Context, n int, size int64, write func(t *temp, off int64) ([]sum, error)) error {
	if err := u.s.enter(ctx, "part", u.p.key); err != nil {
		return err
	}
	defer u.s.leave()
	if most := u.s.Caps().MaxParts; n < 1 || n > most {
		return fail("part", u.p.key, objstore.ErrUnsupported, "part %d of at most %d", n, most)
	}
	u.mu.Lock()
	if u.over {
		u.mu.Unlock()
		return u.ended("part")
	}
	p := u.parts[n]
	if p == nil {
		p = &part{}
		u.parts[n] = p
	}
	u.mu.Unlock()

	p.busy.Lock()
	defer p.busy.Unlock()
	t, off, err := u.settle(n, p, size)
	if err != nil {
		return classify("part", u.p.key, err)
	}
	sums, err := write(t, off)

	u.mu.Lock()
	defer u.mu.Unlock()
	if u.over {
		return u.ended("part")
	}
	if err != nil {
		return classify("part", u.p.key, err)
	}
	p.sums, p.done = sums, true
	return nil
}

func (u *upload) ended(op string) error {
	return fail(op, u.p.key, objstore.ErrOther, "the upload is over")
}

// settle gives part n a place for size bytes.
func (u *upload) settle(n int, p *part, size int64) (*temp, int64, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.over {
		return nil, 0, u.ended("part")
	}
	p.done, p.sums = false, nil
	u.layout.set(n, size)
	switch off := u.layout.offset(n, size); {
	case p.room >= size && p.room > 0:
	case u.free(p, off, size):
		p.stray, p.off, p.room = false, off, size
	default:
		if u.strays == nil {
			t, err := u.s.newTempNamed(u.main.name + straySuffix)
			if err != nil {
				return nil, 0, err
			}
			u.strays = t
		}
		p.stray, p.off, p.room = true, u.tail, size
		u.tail += size
	}
	p.size = size
	if p.stray {
		return u.strays, p.off, nil
	}
	return u.main, p.off, nil
}

// free tells whether no other part is in this range of main. Uploads have few
// parts when compared with the bytes of each, so they are simply all asked.
func (u *upload) free(self *part, off, size int64) bool {
	for _, q := range u.parts {
		if q != self && !q.stray && q.room > 0 && off < q.off+q.room && q.off < off+size {
			return false
		}
	}
	return true
}

// SetMetadata changes the metadata that Commit will give.
func (u *upload) SetMetadata(m map[string]string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.opt.Metadata = maps.Clone(m)
}

// Commit publishes parts 1 to last. It leaves the parts when it fails.
func (u *upload) Commit(ctx context.Context, last int) (objstore.Object, error) {
	if err := u.s.enter(ctx, "commit", u.p.key); err != nil {
		return objstore.Object{}, err
	}
	defer u.s.leave()
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.over {
		return objstore.Object{}, u.ended("commit")
	}
	if last < 1 {
		return objstore.Object{}, fail("commit", u.p.key, objstore.ErrOther, "no parts")
	}
	sums := []sum{}
	for n := 1; n <= last; n++ {
		p := u.parts[n]
		if p == nil || !p.done {
			return objstore.Object{}, fail("commit", u.p.key, objstore.ErrOther, "part %d is missing", n)
		}
		sums = append(sums, p.sums...)
	}
	size, err := u.arrange(ctx, last)
	if err == nil {
		err = u.main.file.Truncate(size)
	}
	if err == nil {
		err = u.main.verify(ctx, "commit", u.p.key, size, u.opt.Checksums)
	}
	if err != nil {
		return objstore.Object{}, classify("commit", u.p.key, err)
	}
	// What was cut off at the end is no part any more.
	for n, p := range u.parts {
		if n > last && !p.stray {
			p.done, p.room = false, 0
		}
	}
	r := describe(u.opt.ContentType, u.opt.StorageClass, u.opt.Metadata, sums, u.opt.Checksums.SHA256)
	o, err := u.s.publish(ctx, "commit", u.p, u.main, r, u.opt.Cond)
	if err != nil && u.main.name != "" {
		return objstore.Object{}, err
	}
	u.end() // the file has its name, even where the directory could not be synced
	return o, err
}

// arrange moves the parts that are not where they belong, first out of each
// other's way. The caller holds mu.
func (u *upload) arrange(ctx context.Context, last int) (size int64, err error) {
	var target int64
	for n := 1; n <= last; n++ {
		p := u.parts[n]
		if !p.stray && p.off != target {
			if err := u.moveOut(ctx, p); err != nil {
				return 0, err
			}
		}
		target += p.size
	}
	target = 0
	for n := 1; n <= last; n++ {
		p := u.parts[n]
		if p.stray {
			if err := copyRange(ctx, u.main.file, target, u.strays.file, p.off, p.size); err != nil {
				return 0, err
			}
			p.stray, p.off, p.room = false, target, p.size
		}
		target += p.size
	}
	return target, nil
}

func (u *upload) moveOut(ctx context.Context, p *part) error {
	if u.strays == nil {
		t, err := u.s.newTempNamed(u.main.name + straySuffix)
		if err != nil {
			return err
		}
		u.strays = t
	}
	if err := copyRange(ctx, u.strays.file, u.tail, u.main.file, p.off, p.size); err != nil {
		return err
	}
	p.stray, p.off, p.room = true, u.tail, p.size
	u.tail += p.size
	return nil
}

// end removes what is left of the upload. The caller holds mu.
func (u *upload) end() {
	u.over = true
	for _, t := range []*temp{u.main, u.strays, u.key} {
		if t != nil {
			t.discard()
		}
	}
	u.parts = nil
}

// Abort discards every part. Parts under way fail.
func (u *upload) Abort(ctx context.Context) error {
	if err := u.s.enter(ctx, "abort", u.p.key); err != nil {
		if errors.Is(err, os.ErrClosed) {
			return nil // AbortStale of the next process removes the files
		}
		return err
	}
	defer u.s.leave()
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.over {
		u.end()
	}
	return nil
}
