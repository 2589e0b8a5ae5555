package draft

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/pailfs/pailfs/objstore"
)

const (
	mib = 1 << 20
	tib = 1 << 40
)

func TestLadder(t *testing.T) {
	for _, c := range []struct {
		name           string
		caps           objstore.Caps
		comfort        int64
		goal           int64
		first          int64   // size of the first part
		sizes          []int64 // of parts 0, 999, 1000, 2000, 3000
		largest, later int64   // largest comfortable part; the part at 100 GiB
	}{
		{
			"S3", objstore.Caps{MinPart: 5 * mib, MaxPart: 5 * gib, MaxParts: 10_000, MaxObject: 5 * tib}, 64 * mib,
			5 * tib, 8 * mib, []int64{8 * mib, 8 * mib, 16 * mib, 32 * mib, 64 * mib}, 64 * mib, 64 * mib,
		},
		{
			"S3 of 48.8 TiB", objstore.Caps{MinPart: 5 * mib, MaxPart: 5 * gib, MaxParts: 10_000, MaxObject: 10_000 * 5 * gib}, 64 * mib,
			5000 * 5 * gib, 8 * mib, []int64{8 * mib, 8 * mib, 16 * mib, 32 * mib, 64 * mib}, 64 * mib, 64 * mib,
		},
		{
			"Azure", objstore.Caps{MinPart: 1, MaxPart: 4000 * mib, MaxParts: 50_000, MaxObject: 50_000 * 4000 * mib}, 256 * mib,
			25_000 * 4000 * mib, 8 * mib, []int64{8 * mib, 8 * mib, 8 * mib, 8 * mib, 8 * mib}, 256 * mib, 16 * mib,
		},
		{
			"GCS", objstore.Caps{MinPart: 1, MaxPart: 5 * tib, MaxParts: 10_000, MaxObject: 5 * tib}, 64 * mib,
			5 * tib, 8 * mib, []int64{8 * mib, 8 * mib, 16 * mib, 32 * mib, 64 * mib}, 64 * mib, 64 * mib,
		},
		{
			"no limits", objstore.Caps{MinPart: 1, MaxPart: math.MaxInt64, MaxParts: math.MaxInt32, MaxObject: math.MaxInt64}, 64 * mib,
			math.MaxInt64, 8 * mib, []int64{8 * mib, 8 * mib, 8 * mib, 8 * mib, 8 * mib}, 64 * mib, 8 * mib,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLadder(c.caps, 8*mib, c.comfort)
			if l.goal != c.goal {
				t.Errorf("goal is %d, want %d", l.goal, c.goal)
			}
			off, n, large := int64(0), 0, int64(0)
			for i, at := range []int{0, 999, 1000, 2000, 3000} {
				for ; n < at; n++ {
					off += l.size(n, off)
				}
				if got := l.size(n, off); got != c.sizes[i] {
					t.Errorf("part %d has %d bytes, want %d", at, got, c.sizes[i])
				}
			}
			for ; off < 100<<30; n++ {
				off += l.size(n, off)
			}
			if got := l.size(n, off); got != c.later {
				t.Errorf("the part at 100 GiB has %d bytes, want %d", got, c.later)
			}
			if c.goal == math.MaxInt64 {
				return
			}
			for ; off < l.goal; n++ {
				s := l.size(n, off)
				if s <= c.comfort {
					large = s
				}
				off += s
			}
			if n > c.caps.MaxParts || large != c.largest {
				t.Errorf("%d parts of at most %d to the goal, the comfortable ones up to %d, want %d", n, c.caps.MaxParts, large, c.largest)
			}
		})
	}
}

// Whatever the limits are, the parts reach the goal, and none breaks a limit.
func TestLadderReachesTheGoal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		caps := objstore.Caps{
			MinPart:  rapid.Int64Range(1, 100).Draw(t, "min"),
			MaxParts: rapid.IntRange(1, 300).Draw(t, "parts"),
		}
		caps.MaxPart = caps.MinPart * rapid.Int64Range(2, 100).Draw(t, "max")
		caps.MaxObject = rapid.Int64Range(1, 1_000_000).Draw(t, "object")
		l := newLadder(caps, rapid.Int64Range(1, 500).Draw(t, "first"), rapid.Int64Range(1, 5000).Draw(t, "comfort"))
		half := int64(caps.MaxParts+1) / 2 * caps.MaxPart
		if l.goal > caps.MaxObject || l.goal < min(caps.MaxObject, half) {
			t.Fatalf("goal is %d", l.goal)
		}
		spans := l.split(0, 0, l.goal)
		if len(spans) > caps.MaxParts {
			t.Fatalf("%d parts of %d", len(spans), caps.MaxParts)
		}
		checkPlan(t, spans, l.goal, caps)
	})
}

func TestPatchPlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		caps := objstore.Caps{MinPart: rapid.Int64Range(1, 50).Draw(t, "min"), MaxParts: rapid.IntRange(20, 200).Draw(t, "parts")}
		caps.MaxPart = caps.MinPart * rapid.Int64Range(2, 40).Draw(t, "max")
		caps.MaxObject = int64(caps.MaxParts) * caps.MaxPart / 2
		l := newLadder(caps, rapid.Int64Range(1, 100).Draw(t, "first"), 200)
		var runs []span
		var size int64
		for range rapid.IntRange(1, 60).Draw(t, "runs") {
			n := min(rapid.Int64Range(1, 400).Draw(t, "len"), l.goal-size)
			runs = append(runs, span{size, size + n, rapid.Bool().Draw(t, "copied")})
			size += n
		}
		plan := planPatch(runs, l, caps)
		if plan == nil {
			return
		}
		if len(plan) > caps.MaxParts {
			t.Fatalf("%d parts of %d", len(plan), caps.MaxParts)
		}
		checkPlan(t, plan, size, caps)
		for _, s := range plan {
			if !s.copied {
				continue
			}
			inside := false
			for _, r := range runs {
				inside = inside || r.copied && r.off <= s.off && s.end <= r.end
			}
			if !inside || s.len() < caps.MinPart {
				t.Fatalf("copies %v, runs %v", s, runs)
			}
		}
	})
}

func checkPlan(t *rapid.T, plan []span, size int64, caps objstore.Caps) {
	var off int64
	for i, s := range plan {
		if s.off != off || s.len() <= 0 || s.len() > caps.MaxPart || s.len() < caps.MinPart && i < len(plan)-1 {
			t.Fatalf("part %d is %v, after %d, of %d to %d bytes", i, s, off, caps.MinPart, caps.MaxPart)
		}
		off = s.end
	}
	if off != size {
		t.Fatalf("plan ends at %d of %d", off, size)
	}
}

// A change in the middle of a large object moves a part, not the object.
func TestPatchPlanIsCheap(t *testing.T) {
	caps := objstore.Caps{MinPart: 5 * mib, MaxPart: 5 * gib, MaxParts: 10_000, MaxObject: 5 * tib}
	l := newLadder(caps, 8*mib, 64*mib)
	const size = 100 * gib
	plan := planPatch([]span{{0, 50 * gib, true}, {50 * gib, 50*gib + 4096, false}, {50*gib + 4096, size, true}}, l, caps)
	var sent, parts int64
	for _, s := range plan {
		if !s.copied {
			sent += s.len()
			parts++
		}
	}
	if sent != 5*mib || parts != 1 || len(plan) > 103 {
		t.Errorf("%d bytes in %d parts are sent, %d parts in all", sent, parts, len(plan))
	}
}
