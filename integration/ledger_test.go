package integration

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/pailfs/pailfs/objstore"
)

// content names what a file holds: size and SHA-256. The empty string is no file.
type content string

func contentOf(b []byte) content { return content(fmt.Sprintf("%d:%x", len(b), sha256.Sum256(b))) }

// ofMarker is what the object of a directory holds.
var ofMarker = contentOf(nil)

// contentFrom reads to the end.
func contentFrom(r io.Reader) (content, error) {
	h := sha256.New()
	n, err := io.Copy(h, r)
	return content(fmt.Sprintf("%d:%x", n, h.Sum(nil))), err
}

func (c content) String() string {
	if c == "" {
		return "nothing"
	}
	size, sum, _ := strings.Cut(string(c), ":")
	return fmt.Sprintf("%s bytes (%.8s)", size, sum)
}

// promise is a call that makes these keys have these contents, if it succeeds.
type promise struct {
	ID    int64
	After map[string]content
}

// ledger knows what must be in a bucket after a crash: of each key what was
// acknowledged last, or what the call that was under way would have made of it.
type ledger struct {
	acked   map[string]content
	pending map[int64]promise
	touched map[string]bool // since the last settle
	history map[string][]string
}

func newLedger() *ledger {
	return &ledger{acked: map[string]content{}, pending: map[int64]promise{}, touched: map[string]bool{}, history: map[string][]string{}}
}

// tell adds a line to what is said of a key when something is wrong with it.
func (l *ledger) tell(key, format string, args ...any) {
	l.history[key] = append(l.history[key], fmt.Sprintf(format, args...))
}

func (l *ledger) begin(p promise) {
	l.pending[p.ID] = p
	for key, c := range p.After {
		l.touched[key] = true
		l.tell(key, "%d begins %v", p.ID, c)
	}
}

func (l *ledger) ack(id int64) {
	maps.Copy(l.acked, l.pending[id].After)
	for key := range l.pending[id].After {
		l.tell(key, "%d is acknowledged", id)
	}
	delete(l.pending, id)
}

// may are the contents that a key may have.
func (l *ledger) may(key string) []content {
	all := []content{l.acked[key]}
	for _, p := range l.pending {
		if c, ok := p.After[key]; ok {
			all = append(all, c)
		}
	}
	return all
}

// knows reports whether an object may be in the bucket at all.
func (l *ledger) knows(key string) bool {
	return slices.ContainsFunc(l.may(key), func(c content) bool { return c != "" })
}

// wrong says what is not as it must be, of the keys touched since the last
// settle. Once a mount has settled what a dead one had begun, a call on several
// keys has happened or it has not.
func (l *ledger) wrong(read func(key string) (content, error), settled bool) (faults []string) {
	found := map[string]content{}
	for _, key := range slices.Sorted(maps.Keys(l.touched)) {
		got, err := read(key)
		if err != nil {
			faults = append(faults, fmt.Sprintf("%s: %v", key, err))
			continue
		}
		found[key] = got
		if may := l.may(key); !slices.Contains(may, got) {
			faults = append(faults, fmt.Sprintf("%s holds %v, not one of %v; %s", key, got, may, l.past(key)))
		}
	}
	for _, p := range l.pending {
		if len(p.After) == 1 {
			continue
		}
		acked, found := l.of(l.acked, p), l.of(found, p)
		for _, key := range l.lost(p, found) {
			faults = append(faults, fmt.Sprintf("%s was being renamed and is lost: wanted %v, acknowledged %v; %s", key, p.After, acked, l.past(key)))
		}
		if settled && !maps.Equal(found, acked) && !maps.Equal(found, p.After) {
			faults = append(faults, fmt.Sprintf("half renamed: %v are as after, %v as before", same(found, p.After), same(found, acked)))
		}
	}
	return faults
}

// lost are the keys that a rename takes away whose content is under neither name.
func (l *ledger) lost(p promise, found map[string]content) (keys []string) {
	for key, c := range p.After {
		was := l.acked[key]
		if c != "" || was == "" || found[key] == was {
			continue
		}
		kept := false
		for to, c := range p.After {
			kept = kept || c == was && found[to] == was
		}
		if !kept {
			keys = append(keys, key)
		}
	}
	return keys
}

// same are the keys of which both say the same.
func same(a, b map[string]content) (keys []string) {
	for key, c := range a {
		if b[key] == c {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// of is what m says of the keys of a promise.
func (l *ledger) of(m map[string]content, p promise) map[string]content {
	out := map[string]content{}
	for key := range p.After {
		out[key] = m[key]
	}
	return out
}

// past is what happened to a key lately.
func (l *ledger) past(key string) string {
	h := l.history[key]
	return "before that: " + strings.Join(h[max(0, len(h)-20):], ", ")
}

// settle takes what is found now as what must be there from now on.
func (l *ledger) settle(read func(key string) (content, error)) error {
	for _, p := range l.pending {
		for key := range p.After {
			got, err := read(key)
			if err != nil {
				return err
			}
			l.acked[key] = got
			l.tell(key, "crash, found %v", got)
		}
	}
	clear(l.pending)
	clear(l.touched)
	return nil
}

// touchAll makes the next check look at every key there ever was.
func (l *ledger) touchAll() {
	for key := range l.acked {
		l.touched[key] = true
	}
}

// content reads a key through the provider's API.
func (p *place) content(t testing.TB) func(key string) (content, error) {
	return func(key string) (content, error) {
		body, _, err := p.store(t).Get(t.Context(), key, objstore.All, objstore.Cond{})
		if errors.Is(err, objstore.ErrNotFound) {
			return "", nil
		}
		if err != nil {
			return "", err
		}
		defer body.Close()
		return contentFrom(body)
	}
}
