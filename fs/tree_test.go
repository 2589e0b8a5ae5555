package fs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func testTree(m *mount, names ...string) []*dir {
	dirs := []*dir{m.root}
	for _, n := range names {
		dirs = append(dirs, m.newDir(dirs[len(dirs)-1], n))
	}
	return dirs
}

func TestLeaseNamesThePrefix(t *testing.T) {
	m := testMount(Options{})
	d := testTree(m, "a", "b")
	for i, want := range []string{"", "a/", "a/b/"} {
		prefix, release, err := m.tree.leaseIn(t.Context(), d[i])
		if err != nil || prefix != want {
			t.Errorf("prefix %d = %q, %v, want %q", i, prefix, err, want)
		}
		release()
		release() // twice is once
	}
}

func TestMoveWaitsForLeasesAndLeasesForTheMove(t *testing.T) {
	m := testMount(Options{})
	d := testTree(m, "a", "b")
	_, release, err := m.tree.leaseIn(t.Context(), d[2])
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := m.tree.beginMove(ctx, d[1]); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("moved under a lease: %v", err)
	}
	release()
	end, err := m.tree.beginMove(t.Context(), d[1])
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, _, err := m.tree.leaseIn(ctx, d[2]); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("leased during a move: %v", err)
	}
	got := make(chan string)
	go func() {
		prefix, release, err := m.tree.leaseIn(t.Context(), d[2])
		if err != nil {
			got <- err.Error()
			return
		}
		release()
		got <- prefix
	}()
	m.tree.move(&d[1].place, m.root, "z")
	end()
	if p := <-got; p != "z/b/" {
		t.Errorf("prefix after the move = %q", p)
	}
}

func TestLeasesAndMovesDoNotDeadlock(t *testing.T) {
	m := testMount(Options{})
	d := testTree(m, "a", "b", "c")
	var wg sync.WaitGroup
	var held, moving atomic.Int64
	for i := range 8 {
		wg.Go(func() {
			for n := range 200 {
				if i%4 == 0 {
					sub := d[1+n%3]
					end, err := m.tree.beginMove(t.Context(), sub)
					if err != nil {
						t.Error(err)
						return
					}
					moving.Add(1)
					m.tree.move(&sub.place, sub.place.parent, fmt.Sprint("n", n))
					moving.Add(-1)
					end()
					continue
				}
				_, release, err := m.tree.lease(t.Context(), &place{parent: d[1+n%3]}, &place{parent: d[n%4]})
				if err != nil {
					t.Error(err)
					return
				}
				held.Add(1)
				held.Add(-1)
				release()
			}
		})
	}
	wg.Wait()
	for i, x := range d {
		if x.place.leases != 0 || x.place.moving != nil {
			t.Errorf("directory %d is left with %d leases", i, x.place.leases)
		}
	}
}
