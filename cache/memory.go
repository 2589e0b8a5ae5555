package cache

import (
	"encoding/binary"

	"github.com/dgraph-io/ristretto/v2"
)

// memory is the tier in memory. The nil memory has nothing.
type memory struct {
	blocks *ristretto.Cache[string, held]
}

// held is a block in memory, and the size of the object that it is of.
type held struct {
	b    []byte
	size int64
}

func newMemory(limit int64) *memory {
	if limit <= 0 {
		return nil
	}
	c, err := ristretto.NewCache(&ristretto.Config[string, held]{
		NumCounters: max(10*limit/(BlockSize/4), 100), // ten for each block, as its documentation advises
		MaxCost:     limit, BufferItems: 64, IgnoreInternalCost: true,
	})
	if err != nil {
		return nil // of numbers that are not positive
	}
	return &memory{c}
}

func memoryKey(id id, block int64) string {
	b := make([]byte, 0, len(id.key)+len(id.version)+9)
	b = binary.LittleEndian.AppendUint64(b, uint64(block))
	b = append(append(append(b, id.version...), 0), id.key...)
	return string(b)
}

func (m *memory) get(id id, block int64) (h held, ok bool) {
	if m == nil {
		return held{}, false
	}
	return m.blocks.Get(memoryKey(id, block))
}

func (m *memory) put(id id, block int64, b []byte, size int64) {
	if m != nil {
		m.blocks.Set(memoryKey(id, block), held{b, size}, int64(len(b)))
	}
}

// drop forgets a block.
func (m *memory) drop(id id, block int64) {
	if m != nil {
		m.blocks.Del(memoryKey(id, block))
	}
}

func (m *memory) wait() {
	if m != nil {
		m.blocks.Wait()
	}
}

func (m *memory) close() {
	if m != nil {
		m.blocks.Close()
	}
}
