package memstore_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/memstore"
	"github.com/pailfs/pailfs/objstore/storetest"
)

func TestContract(t *testing.T) {
	for name, opt := range map[string]memstore.Options{
		"Default": {},
		"Tiny": {Caps: func(c *objstore.Caps) {
			c.MaxPut, c.MinPart, c.MaxPart, c.MaxParts = 20, 5, 15, 100
		}},
		"S3Like": {NoLateMetadata: true, Caps: func(c *objstore.Caps) {
			c.ListMetadata, c.MinPart = false, 1024
		}},
		"Bare": {NoLateMetadata: true, NoCopyPart: true, Caps: func(c *objstore.Caps) {
			c.OrderedParts, c.CondPut, c.CondCopy, c.CondDelete = true, false, false, false
		}},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) objstore.Store {
				s := memstore.New(opt)
				t.Cleanup(func() {
					if n := s.Uploads(); n != 0 {
						t.Errorf("%d uploads left behind", n)
					}
				})
				return s
			})
		})
	}
	t.Run("Renaming", func(t *testing.T) {
		storetest.Run(t, func(t *testing.T) objstore.Store { return memstore.NewRenaming(memstore.Options{}) })
	})
}

func section(s string) *io.SectionReader {
	return io.NewSectionReader(bytes.NewReader([]byte(s)), 0, int64(len(s)))
}

func TestCapsAreEnforced(t *testing.T) {
	ctx := t.Context()
	s := memstore.New(memstore.Options{Caps: func(c *objstore.Caps) {
		c.MaxPut, c.MinPart, c.MaxPart, c.MaxParts, c.MaxObject, c.MaxCopy = 20, 5, 10, 3, 25, 12
		c.OrderedParts, c.CondPut = true, false
	}})
	unsupported := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, objstore.ErrUnsupported) {
			t.Errorf("%s: %v, want ErrUnsupported", what, err)
		}
	}
	_, err := s.Put(ctx, "k", section("123456789012345678901"), objstore.PutOptions{})
	unsupported("put of 21 bytes", err)
	_, err = s.Put(ctx, "k", section("1"), objstore.PutOptions{Cond: objstore.Cond{Absent: true}})
	unsupported("condition", err)
	if _, err := s.Put(ctx, "k", section("1234567890123"), objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err = s.Copy(ctx, "l", "k", objstore.CopyOptions{})
	unsupported("copy of 13 bytes", err)

	u, err := s.NewUpload(ctx, "u", objstore.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	unsupported("part 2 first", u.PutPart(ctx, 2, section("12345")))
	unsupported("part of 11 bytes", u.PutPart(ctx, 1, section("12345678901")))
	if err := u.PutPart(ctx, 1, section("1234")); err != nil {
		t.Fatal(err)
	}
	unsupported("part 1 again", u.PutPart(ctx, 1, section("12345")))
	if err := u.PutPart(ctx, 2, section("12345")); err != nil {
		t.Fatal(err)
	}
	_, err = u.Commit(ctx, 2)
	unsupported("small first part", err)
	unsupported("part 4", u.PutPart(ctx, 4, section("12345")))
	if err := u.Abort(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestWrongChecksumIsRefused(t *testing.T) {
	s := memstore.New(memstore.Options{})
	for name, sums := range map[string]objstore.Checksums{
		"SHA256":    {SHA256: make([]byte, 32)},
		"MD5":       {MD5: make([]byte, 16)},
		"CRC32C":    {CRC32C: make([]byte, 4)},
		"CRC64NVME": {CRC64NVME: make([]byte, 8)},
	} {
		if _, err := s.Put(t.Context(), "k", section("x"), objstore.PutOptions{Checksums: sums}); !errors.Is(err, objstore.ErrChecksum) {
			t.Errorf("%s: %v, want ErrChecksum", name, err)
		}
	}
	// The check value of CRC-64/NVME is that of "123456789".
	sums := objstore.Checksums{CRC64NVME: []byte{0xae, 0x8b, 0x14, 0x86, 0x0a, 0x79, 0x98, 0x88}}
	if _, err := s.Put(t.Context(), "k", section("123456789"), objstore.PutOptions{Checksums: sums}); err != nil {
		t.Error(err)
	}
}
