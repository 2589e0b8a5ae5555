// Package faultstore wraps a store so that calls fail, wait, break off or lie
// as a test says, and counts them.
package faultstore

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pailfs/pailfs/objstore"
)

// Op names a call of a Store or an Upload.
type Op string

// The calls. AbortStale is Clean.
const (
	Stat     Op = "stat"
	Get      Op = "get"
	Put      Op = "put"
	Upload   Op = "upload"
	Part     Op = "part"
	CopyPart Op = "copypart"
	Commit   Op = "commit"
	Abort    Op = "abort"
	Copy     Op = "copy"
	Rename   Op = "rename"
	Delete   Op = "delete"
	List     Op = "list"
	Clean    Op = "clean"
)

// Call is one call that was made, whether or not it failed.
type Call struct {
	Op    Op
	Key   string         // the destination of Copy and Rename, the prefix of List
	Part  int            // of Part and CopyPart; of Commit the last
	Size  int64          // of the body of Put and Part
	Range objstore.Range // of Get and CopyPart
}

// Rule says what happens to the calls it matches. What is set happens in the
// order of the fields.
type Rule struct {
	Op    Op     // "" matches every call
	Key   string // "*" stands for any run of bytes; "" matches every key
	Part  int    // 0 matches every part
	Skip  int    // calls that pass before the rule begins to hold
	Count int    // calls it then holds for; 0 is for ever

	Delay time.Duration // wait, or until the context ends
	Gate  *Gate         // wait until the gate is released, or the context ends

	// Done makes the call before Err is returned: it happened, but the caller
	// is told that it failed.
	Done bool
	Err  error // answer this; one that is no *objstore.Error is made one

	// Cut ends the body of a Get after so many bytes, with CutErr: nil is a
	// broken connection, io.EOF is a body that is silently short.
	Cut    *int64
	CutErr error
}

// After is a value for Rule.Cut.
func After(n int64) *int64 { return &n }

// Faults are the rules and the record of one wrapped store.
type Faults struct {
	mu    sync.Mutex
	rules []*Rule
	calls []Call
}

// Add adds a rule behind the others; the first that holds for a call decides.
// The returned function takes the rule away.
func (f *Faults) Add(r Rule) (remove func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	own := &r
	if r.Count == 0 {
		own.Count = -1
	}
	f.rules = append(f.rules, own)
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.rules = slices.DeleteFunc(f.rules, func(r *Rule) bool { return r == own })
	}
}

// Calls gives the calls made since the last Reset, in order.
func (f *Faults) Calls() []Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// Count says how many calls op there were on the keys that match pattern; op ""
// is any, pattern "" too.
func (f *Faults) Count(op Op, pattern string) int {
	n := 0
	for _, c := range f.Calls() {
		if (op == "" || op == c.Op) && match(pattern, c.Key) {
			n++
		}
	}
	return n
}

// Reset forgets the calls made so far. Rules stay.
func (f *Faults) Reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = nil
}

// Clear takes all rules away.
func (f *Faults) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = nil
}

// meet records a call and gives the rule that holds for it.
func (f *Faults) meet(c Call) Rule {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, c)
	for _, r := range f.rules {
		if r.Count == 0 || r.Op != "" && r.Op != c.Op || r.Part != 0 && r.Part != c.Part || !match(r.Key, c.Key) {
			continue
		}
		if r.Skip > 0 {
			r.Skip--
			continue
		}
		if r.Count > 0 {
			r.Count--
		}
		return *r
	}
	return Rule{}
}

// do makes a call under the rules.
func (f *Faults) do(ctx context.Context, c Call, call func() error) error {
	return f.apply(ctx, f.meet(c), c, call)
}

// apply makes a call under the rule r.
func (f *Faults) apply(ctx context.Context, r Rule, c Call, call func() error) error {
	if err := r.wait(ctx); err != nil {
		return objstore.NewError(string(c.Op), c.Key, objstore.ErrTransient, err)
	}
	if r.Err == nil {
		return call()
	}
	if r.Done {
		if err := call(); err != nil {
			return err
		}
	}
	return classify(c, r.Err)
}

func (r Rule) wait(ctx context.Context) error {
	if r.Delay > 0 {
		t := time.NewTimer(r.Delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if r.Gate != nil {
		return r.Gate.pass(ctx)
	}
	return nil
}

var kinds = []error{
	objstore.ErrNotFound, objstore.ErrCond, objstore.ErrPermission, objstore.ErrRange,
	objstore.ErrTransient, objstore.ErrThrottled, objstore.ErrUnsupported, objstore.ErrArchived,
	objstore.ErrQuota, objstore.ErrChecksum,
}

// classify makes a scripted error an *objstore.Error of one kind.
func classify(c Call, err error) error {
	if e := (*objstore.Error)(nil); errors.As(err, &e) {
		return err
	}
	for _, k := range kinds {
		if err == k {
			return &objstore.Error{Op: string(c.Op), Key: c.Key, Kind: k, Err: errors.New("scripted")}
		}
		if errors.Is(err, k) {
			return &objstore.Error{Op: string(c.Op), Key: c.Key, Kind: k, Err: err}
		}
	}
	return objstore.NewError(string(c.Op), c.Key, objstore.ErrOther, err)
}

// match tells whether key is what pattern says, where "*" is any run of bytes.
func match(pattern, key string) bool {
	if pattern == "" {
		return true
	}
	head, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == key
	}
	if !strings.HasPrefix(key, head) {
		return false
	}
	key = key[len(head):]
	words := strings.Split(rest, "*")
	tail := words[len(words)-1]
	for _, w := range words[:len(words)-1] {
		i := strings.Index(key, w)
		if i < 0 {
			return false
		}
		key = key[i+len(w):]
	}
	return strings.HasSuffix(key, tail)
}
