package cache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/pailfs/pailfs/objstore"
)

const (
	// streamed is the length from which on a Get belongs to a stream, whose
	// blocks go past the memory tier.
	streamed = 2 << 20

	// worthwhile is how many blocks in a row must be there to end a request
	// before them and begin another behind.
	worthwhile = (1 << 20) / BlockSize
)

// Getter is the part of a Store that reads.
type Getter interface {
	Get(ctx context.Context, key string, r objstore.Range, cond objstore.Cond) (io.ReadCloser, objstore.Object, error)
}

// Over returns a Getter that takes from c what it has, and keeps there what it
// must fetch from g. Only a Get that names the version is looked up; of the
// Object that such a Get returns only Key and Version are sure to be set.
func (c *Cache) Over(g Getter) Getter {
	if !c.Wants() {
		return g
	}
	return &over{c, g}
}

type over struct {
	c *Cache
	g Getter
}

func (o *over) Get(ctx context.Context, key string, r objstore.Range, cond objstore.Cond) (io.ReadCloser, objstore.Object, error) {
	if cond.Version == "" || r.Len == 0 || r.Off < 0 {
		return o.g.Get(ctx, key, r, cond)
	}
	b := &body{ctx: ctx, o: o, id: id{key, string(cond.Version)}, asked: r, pos: r.Off, first: r.Off / BlockSize, size: -1}
	if b.files = o.c.disk.get(key, string(cond.Version)); b.files != nil {
		b.setSize(b.files.size)
	} else if h, ok := o.c.memory.get(b.id, b.first); ok {
		b.setSize(h.size)
	}
	obj := objstore.Object{Key: key, Version: cond.Version}
	if b.size < 0 || b.pos >= b.size || !b.look() {
		var err error
		if obj, err = b.fetch(); err != nil {
			b.files.close()
			return nil, objstore.Object{}, err
		}
	}
	return b, obj, nil
}

// setSize is told the size of the object, so that the end of the range is known.
func (b *body) setSize(size int64) {
	b.size, b.end = size, size
	if b.asked.Len >= 0 {
		b.end = min(size, b.asked.Off+b.asked.Len)
	}
	b.small = b.end-b.asked.Off <= streamed
}

// look finds out which blocks are there, and reports whether the first is.
func (b *body) look() bool {
	n := blocks(b.end) - b.first
	b.have = b.files.presence(b.first, n)
	for i := range b.have {
		if !b.have[i] {
			_, b.have[i] = b.o.c.memory.get(b.id, b.first+int64(i))
		}
	}
	return b.have[0]
}

// body is what a Get reads: blocks that are there, and between them bodies of
// Gets for those that are not.
type body struct {
	ctx      context.Context
	o        *over
	id       id
	asked    objstore.Range
	pos, end int64
	size     int64  // of the object; below 0 while it is not known, or another version's
	first    int64  // block
	have     []bool // from first on; a hint; none without a size
	small    bool
	files    *pair

	block []byte // the bytes at pos, of a block that was there

	inner    io.ReadCloser // the Get under way, up to innerEnd
	innerEnd int64
	part     []byte // of the block that inner is in, from its beginning; empty after a start inside
	stored   []int64
	held     map[int64][]byte // blocks of a small whole object, until its checksum is known; nil else
}

// run is where the Get that begins at pos ends: before the next blocks that are
// worth to be used, or at the end.
func (b *body) run() int64 {
	at := b.pos/BlockSize - b.first + 1
	for i := at; i < int64(len(b.have)); i++ {
		n := i
		for n < int64(len(b.have)) && b.have[n] {
			n++
		}
		if n-i >= worthwhile || n > i && n == int64(len(b.have)) {
			return (b.first + i) * BlockSize
		}
		i = max(i, n-1)
	}
	return b.end
}

// fetch begins a Get at pos.
func (b *body) fetch() (objstore.Object, error) {
	cond := objstore.Cond{Version: objstore.Version(b.id.version)}
	r := b.asked
	if len(b.have) > 0 {
		r = objstore.Range{Off: b.pos, Len: b.run() - b.pos}
		if r.Off == 0 && r.Len == b.size {
			r = objstore.All // some tell a checksum only of what is asked for as a whole
		}
	}
	body, obj, err := b.o.g.Get(b.ctx, b.id.key, r, cond)
	if err != nil {
		return obj, err
	}
	b.inner = body
	if obj.Version != "" && obj.Version != cond.Version { // a store that ignores conditions
		b.size = -1
		b.end = obj.Size
	} else if b.size < 0 {
		b.setSize(obj.Size)
		b.have = make([]bool, max(blocks(b.end)-b.first, 0))
	}
	b.innerEnd = b.end
	if r.Len >= 0 {
		b.innerEnd = min(b.end, r.Off+r.Len)
	} else if b.small {
		b.held = map[int64][]byte{}
	}
	return obj, nil
}

func (b *body) Read(p []byte) (int, error) {
	for {
		switch {
		case len(b.block) > 0:
			n := copy(p, b.block)
			b.block = b.block[n:]
			b.pos += int64(n)
			return n, nil
		case b.inner != nil:
			return b.readInner(p)
		case b.pos >= b.end:
			return 0, io.EOF
		case len(p) == 0:
			return 0, nil
		}
		if n := b.cached(p); n > 0 {
			b.o.c.stats.hits.Add(1)
			b.pos += int64(n)
			return n, nil
		}
		if len(b.block) > 0 {
			b.o.c.stats.hits.Add(1)
			continue
		}
		obj, err := b.fetch()
		if err != nil {
			return 0, err
		}
		if b.size < 0 {
			return 0, objstore.NewError("get", b.id.key, objstore.ErrCond, fmt.Errorf("version %q, want %q", obj.Version, b.id.version))
		}
	}
}

// cached finds the block at pos: into p if it is to be used whole, which saves
// a copy, else into b.block.
func (b *body) cached(p []byte) int {
	n := b.pos / BlockSize
	if i := n - b.first; !b.have[i] {
		return 0
	}
	within := b.pos - n*BlockSize
	if h, ok := b.o.c.memory.get(b.id, n); ok && int64(len(h.b)) > within {
		b.block = h.b[within:min(int64(len(h.b)), b.end-n*BlockSize)]
		return 0
	}
	if b.files == nil {
		return 0
	}
	length := blockLen(b.files.size, n)
	if within == 0 && len(p) >= length && b.end-b.pos >= int64(length) {
		if b.files.read(n, p[:length]) {
			return length
		}
		return 0
	}
	m := make([]byte, length)
	if b.files.read(n, m) && int64(length) > within {
		b.block = m[within:min(int64(length), b.end-n*BlockSize)]
		if b.small { // others will want the rest of it
			b.o.c.memory.put(b.id, n, m, b.size)
		}
	}
	return 0
}

// readInner reads from the Get under way. What the store finds out at the end of
// a body must be known before its last bytes are handed out or kept.
func (b *body) readInner(p []byte) (int, error) {
	left := b.innerEnd - b.pos
	if left > 0 && int64(len(p)) > left {
		p = p[:left]
	}
	n, err := b.inner.Read(p)
	if n > 0 && int64(n) == left && err == nil {
		var one [1]byte
		var more int
		for more == 0 && err == nil {
			more, err = b.inner.Read(one[:])
		}
		if more > 0 {
			err = fmt.Errorf("get %q: the body is longer than the range", b.id.key)
		}
	}
	if err != nil && err != io.EOF {
		if errors.Is(err, objstore.ErrChecksum) {
			b.forget()
		}
		if int64(n) == left {
			return 0, err
		}
		return n, err
	}
	if b.size > 0 {
		b.take(p[:n])
	}
	b.pos += int64(n)
	if err == io.EOF {
		_ = b.inner.Close() // read to its end
		for n, block := range b.held {
			if b.pos == b.innerEnd {
				b.o.c.keep(b.id, b.size, n, block, b.small, false)
			}
		}
		b.inner, b.part, b.stored, b.held = nil, nil, nil, nil
		switch {
		case b.pos < b.innerEnd:
			return n, io.ErrUnexpectedEOF
		case n == 0 && b.pos < b.end:
			return b.Read(p)
		case n == 0:
			return 0, io.EOF
		}
	}
	return n, nil
}

// take keeps what comes from inner, block by block. pos is where p belongs.
func (b *body) take(p []byte) {
	for pos := b.pos; len(p) > 0; {
		n := pos / BlockSize
		within := pos - n*BlockSize
		m := min(int64(len(p)), BlockSize-within)
		length := int64(blockLen(b.size, n))
		switch {
		case within == 0 && m == length: // whole at once
			b.keep(n, p[:m])
			b.part = nil
		case within == int64(len(b.part)):
			if b.part == nil {
				b.part = make([]byte, 0, length)
			}
			b.part = append(b.part, p[:m]...)
			if int64(len(b.part)) == length {
				b.keep(n, b.part)
				b.part = b.part[:0]
			}
		}
		if within+m == BlockSize && b.part != nil {
			b.part = b.part[:0]
		}
		p, pos = p[m:], pos+m
	}
}

func (b *body) keep(n int64, block []byte) {
	b.o.c.stats.misses.Add(1)
	if b.have[n-b.first] && b.files.presence(n, 1)[0] {
		return
	}
	if b.held != nil {
		b.held[n] = bytes.Clone(block)
		return
	}
	b.o.c.keep(b.id, b.size, n, block, b.small, false)
	b.stored = append(b.stored, n)
}

// forget takes back the blocks of a body whose checksum turned out wrong.
func (b *body) forget() {
	if len(b.stored) == 0 {
		return
	}
	for _, n := range b.stored {
		b.o.c.memory.drop(b.id, n)
	}
	if d := b.o.c.disk; d.usable() {
		d.flush()
		if p := d.get(b.id.key, b.id.version); p != nil {
			for _, n := range b.stored {
				p.clear(n)
			}
			p.close()
		}
	}
	b.stored = nil
}

func (b *body) Close() error {
	b.files.close()
	b.files = nil
	if b.inner != nil {
		return b.inner.Close()
	}
	return nil
}
