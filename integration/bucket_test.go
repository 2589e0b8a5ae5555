package integration

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/pailfs/pailfs/objstore"
)

// object reads an object from the bucket, not through a mount. ok is false
// where there is none.
func (p *place) object(t testing.TB, key string) (content []byte, ok bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
	defer cancel()
	body, _, err := p.store(t).Get(ctx, key, objstore.All, objstore.Cond{})
	if errors.Is(err, objstore.ErrNotFound) {
		return nil, false
	}
	if err == nil {
		defer body.Close()
		content, err = io.ReadAll(body)
	}
	if err != nil {
		t.Fatal(err)
	}
	return content, true
}

// holds fails the test unless the object has exactly these bytes.
func (p *place) holds(t testing.TB, key string, want []byte, when string) {
	t.Helper()
	got, ok := p.object(t, key)
	switch {
	case !ok:
		t.Errorf("%s: %q is not in the bucket", when, key)
	case !bytes.Equal(got, want):
		t.Errorf("%s: %q is not what it should be: %s", when, key, differ(want, got))
	}
}

// objects lists the whole bucket.
func (p *place) objects(t testing.TB) []objstore.Object {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
	defer cancel()
	var all []objstore.Object
	for o, err := range objstore.ListAll(ctx, p.store(t), objstore.ListRequest{}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, o)
	}
	return all
}

// audit compares the bucket with what a mount shows: every file is one object
// of the same bytes, and nothing else is there.
func (p *place) audit(t testing.TB, tree map[string]entry) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
	defer cancel()
	store, seen := p.store(t), map[string]bool{}
	for _, o := range p.objects(t) {
		seen[o.Key] = true
		if strings.HasPrefix(o.Key, ".pailfs/") {
			continue // leftovers looks at these
		}
		name, marker := strings.CutSuffix(o.Key, "/")
		switch e := tree[name]; {
		case marker && e.kind == 'd', !marker && e.kind == 'l':
		case marker || e.kind != 'f':
			t.Errorf("object %q (%d bytes) is in the bucket, but a mount shows %v", o.Key, o.Size, e)
		case o.Size != e.size:
			t.Errorf("object %q has %d bytes, the file %d", o.Key, o.Size, e.size)
		default:
			body, _, err := store.Get(ctx, o.Key, objstore.All, objstore.Cond{})
			if err != nil {
				t.Error(err)
				continue
			}
			sum := sha256.New()
			_, err = io.Copy(sum, body)
			body.Close()
			if got := fmt.Sprintf("%x", sum.Sum(nil)); err != nil || got != e.content {
				t.Errorf("object %q has SHA-256 %.16s, the file %.16s (%v)", o.Key, got, e.content, err)
			}
		}
	}
	for name, e := range tree {
		if e.kind != 'd' && !seen[name] {
			t.Errorf("%q is no object in the bucket: %v", name, e)
		}
	}
}

// rootAttributes is the object that holds mode, owner and times of the root.
const rootAttributes = ".pailfs/root"

// leftovers fails the test if pailfs left anything of its own in the bucket:
// temporary objects, unfinished uploads.
func (p *place) leftovers(t testing.TB) {
	t.Helper()
	if p.kind == "plain" {
		return
	}
	for _, o := range p.objects(t) {
		if strings.HasPrefix(o.Key, ".pailfs/") && o.Key != rootAttributes {
			t.Errorf("left in the bucket: %q, %d bytes", o.Key, o.Size)
		}
	}
	for _, u := range p.uploads(t) {
		t.Errorf("left in the bucket: unfinished upload %s", u)
	}
}

// uploads are the unfinished uploads in the bucket, whosever they are.
func (p *place) uploads(t testing.TB) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var found []string
	var err error
	switch p.kind {
	case "file":
		found, err = temporaryFiles(p.root)
	case "s3":
		found, err = p.bucket.uploads(ctx)
	case "gcs", "azure":
		found, err = p.cloudUploads(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// differ says in short how two contents differ.
func differ(want, got []byte) string {
	n := 0
	for n < len(want) && n < len(got) && want[n] == got[n] {
		n++
	}
	return fmt.Sprintf("want %d bytes, got %d, the first %d are the same", len(want), len(got), n)
}
