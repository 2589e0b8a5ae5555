package dirstore

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/pailfs/pailfs/objstore"
)

// maxPage is the most entries of one page. A page reads its directories again,
// so it is larger than that of a provider.
const maxPage = 5000

// List reads one page. A token is the last entry of the page before.
func (s *Store) List(ctx context.Context, req objstore.ListRequest) (objstore.ListPage, error) {
	if err := s.enter(ctx, "list", req.Prefix); err != nil {
		return objstore.ListPage{}, err
	}
	defer s.leave()
	if req.Delim != "" && req.Delim != "/" {
		return objstore.ListPage{}, fail("list", req.Prefix, objstore.ErrUnsupported, "delimiter %q", req.Delim)
	}
	l := &lister{s: s, ctx: ctx, req: req, most: req.Max}
	if l.most <= 0 || l.most > maxPage {
		l.most = maxPage
	}
	// The walk begins in the directory that the prefix is in.
	dir := req.Prefix[:strings.LastIndex(req.Prefix, "/")+1]
	p := place{}
	if dir != "" {
		var err error
		if p, err = at("list", dir); err != nil {
			return objstore.ListPage{}, nil // no key is there
		}
	}
	fd, _, err := s.descend(p.names, false)
	if err == nil {
		err = l.walk(fd, dir)
		unix.Close(fd)
	}
	if err != nil && !absent(err) {
		return objstore.ListPage{}, classify("list", req.Prefix, err)
	}
	return l.page, nil
}

// lister fills one page.
type lister struct {
	s    *Store
	ctx  context.Context
	req  objstore.ListRequest
	most int
	page objstore.ListPage
	last string // entry of the page
}

// room tells whether the page takes the entry; else the page ends before it.
func (l *lister) room(entry string) bool {
	if len(l.page.Objects)+len(l.page.Prefixes) == l.most {
		l.page.Next = l.last
		return false
	}
	l.last = entry
	return true
}

// walk adds what is in the open directory dir, "" or ending in "/", until the
// page is full. A directory sorts as its name with a "/".
func (l *lister) walk(fd int, dir string) error {
	if err := l.ctx.Err(); err != nil {
		return err
	}
	names, err := l.s.listed(fd, dir, l.req.Token != "")
	if err != nil {
		return err
	}
	if dir != "" && strings.HasPrefix(dir, l.req.Prefix) && dir > l.req.Token {
		if err := l.marker(fd, dir, len(names) == 0); err != nil {
			return err
		}
	}
	base := l.req.Prefix[min(len(dir), len(l.req.Prefix)):]
	i, _ := slices.BinarySearch(names, max(base, l.resume(dir)))
	for ; i < len(names) && l.page.Next == ""; i++ {
		if !strings.HasPrefix(names[i], base) {
			break
		}
		if err := l.entry(fd, dir, names[i]); err != nil {
			return err
		}
	}
	if l.page.Next == "" {
		l.s.lists.drop(dir)
	}
	return nil
}

// resume is the name in dir at which the page before ended, "" if it ended
// elsewhere.
func (l *lister) resume(dir string) string {
	rest, inside := strings.CutPrefix(l.req.Token, dir)
	if !inside {
		return ""
	}
	if i := strings.Index(rest, "/"); i >= 0 {
		return rest[:i+1]
	}
	return rest
}

// marker adds the directory as an object if it is one.
func (l *lister) marker(fd int, dir string, empty bool) error {
	o, _, put, err := l.s.putMarker(fd, dir)
	if errors.Is(err, errSidecar) {
		o.MetadataKnown, put, err = false, true, nil
	}
	if err == nil && (put || empty) && l.room(dir) {
		l.page.Objects = append(l.page.Objects, o)
	}
	return err
}

// entry adds one entry of a directory. What vanished meanwhile is left out.
func (l *lister) entry(fd int, dir, name string) error {
	key, token := dir+name, l.req.Token
	bare, isDir := strings.CutSuffix(name, "/")
	switch {
	case isDir && l.req.Delim != "":
		if key > token && l.room(key) {
			l.page.Prefixes = append(l.page.Prefixes, key)
		}
	case isDir:
		if key <= token && !strings.HasPrefix(token, key) {
			return nil
		}
		sub, _, err := subdir(fd, bare, false)
		if err == nil {
			err = l.walk(sub, key)
			unix.Close(sub)
		}
		if err != nil && !absent(err) {
			return err
		}
	case key > token:
		if len(l.page.Objects)+len(l.page.Prefixes)&255 == 0 && l.ctx.Err() != nil {
			return l.ctx.Err()
		}
		o, _, err := l.s.lookupFile(fd, bare, key)
		if errors.Is(err, errSidecar) {
			o.MetadataKnown, err = false, nil
		}
		if err == nil && l.room(key) {
			l.page.Objects = append(l.page.Objects, o)
		}
		if err != nil && !absent(err) {
			return err
		}
	}
	return nil
}

// entries reads the names in the open directory dir, sorted, directories with
// a "/". What can be no part of a key is left out.
func (s *Store) entries(fd int, dir string) ([]string, error) {
	again, err := openat(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	// The path serves only where the file system does not tell types.
	f := os.NewFile(uintptr(again), s.dir+"/"+dir)
	defer f.Close()
	list, err := f.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(list))
	for _, e := range list {
		switch {
		case dir == "" && e.Name() == private:
		case e.IsDir():
			names = append(names, e.Name()+"/")
		case e.Type().IsRegular():
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// listed is entries for a listing. A later page of a long directory goes on in
// the names that an earlier page read.
func (s *Store) listed(fd int, dir string, later bool) ([]string, error) {
	n, err := statFD(fd)
	if err != nil {
		return nil, err
	}
	if later {
		if names, ok := s.lists.get(dir, n); ok {
			return names, nil
		}
	}
	s.lists.drop(dir)
	names, err := s.entries(fd, dir)
	if err == nil && len(names) > maxPage/2 {
		s.lists.keep(snapshot{dir, n, names})
	}
	return names, err
}

// snapshots hold the names of a few long directories that are being listed. A
// first page reads the directory and renews them, so a listing never shows less
// than what was there when it began.
type snapshots struct {
	mu   sync.Mutex
	held []snapshot // newest last
}

type snapshot struct {
	dir   string
	of    inode
	names []string
}

const maxSnapshots = 4

func (c *snapshots) get(dir string, n inode) ([]string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, one := range c.held {
		if one.dir == dir && one.of.ino == n.ino && one.of.mtime == n.mtime {
			return one.names, true
		}
	}
	return nil, false
}

func (c *snapshots) keep(one snapshot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.held) == maxSnapshots {
		c.held = slices.Delete(c.held, 0, 1)
	}
	c.held = append(c.held, one)
}

func (c *snapshots) drop(dir string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = slices.DeleteFunc(c.held, func(one snapshot) bool { return one.dir == dir })
}
