package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/pailfs/pailfs/mountopts"
	"github.com/pailfs/pailfs/objstore"
)

// storePair is source and destination of a copy, opened. from and to are keys.
type storePair struct {
	src, dst objstore.Store
	same     bool
	from, to string

	shown   location // the source, for messages
	options []*mountopts.Options
}

// openPair opens two locations; in one bucket they are seen through one store,
// so that objects can be copied inside the provider.
func openPair(ctx context.Context, from, to location) (*storePair, error) {
	p := &storePair{shown: from, from: from.key, to: to.key}
	if from.sameStore(to) {
		both, a, b := common(from, to)
		s, o, err := openLocation(ctx, both, false, false)
		if err != nil {
			return nil, err
		}
		p.src, p.dst, p.same, p.from, p.to = s, s, true, a+from.key, b+to.key
		p.options = []*mountopts.Options{o}
		return p, nil
	}
	src, so, err := openLocation(ctx, from, true, false)
	if err != nil {
		return nil, err
	}
	dst, do, err := openLocation(ctx, to, false, strings.HasPrefix(to.dir, "file:"))
	if err != nil {
		src.Close()
		return nil, err
	}
	p.src, p.dst, p.options = src, dst, []*mountopts.Options{so, do}
	return p, nil
}

func (p *storePair) close() {
	p.src.Close()
	if !p.same {
		p.dst.Close()
	}
}

// explain names the source in an error and hides secrets.
func (p *storePair) explain(err error) error {
	err = fmt.Errorf("%s: %w", p.shown, err)
	for _, o := range p.options {
		err = scrubbed(o, err)
	}
	return err
}

// common is the deepest directory that two locations in one bucket are in, and
// the prefixes of either below it.
func common(a, b location) (both location, below, belowB string) {
	ua, _ := url.Parse(a.dir)
	ub, _ := url.Parse(b.dir)
	pa, pb := strings.Split(strings.Trim(ua.Path, "/"), "/"), strings.Split(strings.Trim(ub.Path, "/"), "/")
	n := 0
	for n < len(pa) && n < len(pb) && pa[n] == pb[n] {
		n++
	}
	if ua.Scheme == "file" { // both are the same directory
		return a, "", ""
	}
	rest := func(path []string) string {
		if s := strings.Join(path[n:], "/"); s != "" {
			return s + "/"
		}
		return ""
	}
	ua.Path = strings.Join(pa[:n], "/")
	if ua.Path != "" {
		ua.Path = "/" + ua.Path
	}
	return location{dir: ua.String(), rest: a.rest}, rest(pa), rest(pb)
}
