package draft

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/memstore"
)

// shelf keeps what it is given.
func shelf(kept *[]byte) func([]byte) (io.ReaderAt, error) {
	return func(b []byte) (io.ReaderAt, error) {
		*kept = bytes.Clone(b)
		return bytes.NewReader(*kept), nil
	}
}

func TestStow(t *testing.T) {
	ctx, store := t.Context(), memstore.New(memstore.Options{})
	p := NewPool(Options{Store: store})
	defer p.Close(ctx)
	d := p.New()
	want := append(bytes.Repeat([]byte("stowed "), 10_000), make([]byte, 5000)...)
	if err := d.WriteAt(ctx, want[:70_000], 0); err != nil {
		t.Fatal(err)
	}
	if err := d.Truncate(ctx, int64(len(want))); err != nil {
		t.Fatal(err)
	}
	var kept []byte
	if err := d.Stow(ctx, "first", shelf(&kept)); err != nil || !bytes.Equal(kept, want) {
		t.Fatalf("stowed %d bytes, %v", len(kept), err)
	}
	if used := p.Stats().Used; used != 0 {
		t.Errorf("%d bytes of memory are used", used)
	}
	got := make([]byte, len(want))
	if n, err := d.ReadAt(ctx, got, 0); n != len(want) || err != nil || !bytes.Equal(got, want) || !d.Stowed() || !d.Dirty() {
		t.Errorf("read %d bytes, %v; stowed %v, dirty %v", n, err, d.Stowed(), d.Dirty())
	}
	// A change makes it another content.
	if err := d.WriteAt(ctx, []byte("STOWED"), 7); err != nil {
		t.Fatal(err)
	}
	copy(want[7:], "STOWED")
	if d.Stowed() {
		t.Error("still stowed")
	}
	if err := d.Stow(ctx, "second", shelf(&kept)); err != nil || !bytes.Equal(kept, want) {
		t.Fatalf("stowed again: %v", err)
	}
	obj, err := d.Commit(ctx, Target{Key: "k", Cond: objstore.Cond{Absent: true}})
	if err != nil || obj.Metadata[MetaID] != "second" || obj.Size != int64(len(want)) {
		t.Fatalf("committed %+v, %v", obj, err)
	}
	if d.Stowed() || d.Dirty() {
		t.Error("dirty after the commit")
	}
	// What is in the store only is not at hand.
	if err := d.Truncate(ctx, 10); err != nil {
		t.Fatal(err)
	}
	if err := d.Stow(ctx, "third", shelf(&kept)); !errors.Is(err, ErrNotAtHand) {
		t.Errorf("got %v", err)
	}
	failed := errors.New("disk full")
	other := p.New()
	if err := other.Stow(ctx, "x", func([]byte) (io.ReaderAt, error) { return nil, failed }); !errors.Is(err, failed) || other.Stowed() {
		t.Errorf("got %v", err)
	}
}

// TestRestore: a commit that the dead process made is found, one that it did not make
// is made, and one of somebody else is a lost race.
func TestRestore(t *testing.T) {
	for _, tt := range []struct {
		name, there, id string
		want            error
		puts            string
	}{
		{"nothing is there", "", "", nil, "mine"},
		{"it was committed", "mine", "id", nil, "mine"},
		{"somebody else's", "other", "theirs", objstore.ErrCond, "other"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, store := t.Context(), memstore.New(memstore.Options{})
			var before objstore.Object
			if tt.id != "" {
				var err error
				before, err = store.Put(ctx, "k", io.NewSectionReader(bytes.NewReader([]byte(tt.there)), 0, int64(len(tt.there))),
					objstore.PutOptions{Metadata: map[string]string{MetaID: tt.id}})
				if err != nil {
					t.Fatal(err)
				}
			}
			p := NewPool(Options{Store: store})
			defer p.Close(ctx)
			d := p.Restore("id", bytes.NewReader([]byte("mine")), 4)
			obj, err := d.Commit(ctx, Target{Key: "k", Cond: objstore.Cond{Absent: true}})
			if !errors.Is(err, tt.want) {
				t.Fatalf("commit: %v, want %v", err, tt.want)
			}
			if tt.id == "id" && obj.Version != before.Version {
				t.Error("it was sent again")
			}
			r, _, err := store.Get(ctx, "k", objstore.All, objstore.Cond{})
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(r); string(got) != tt.puts || err != nil {
				t.Errorf("the store has %q, %v", got, err)
			}
		})
	}
}
