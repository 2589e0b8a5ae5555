package integration

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// crashTree is a directory of some dozen files, some of them one level deeper.
type crashTree struct {
	at    string             // its key, with a slash; "" while there is none
	holds map[string]content // by what follows at; "sub/" is a directory
}

// stepTree renames a directory, and files in it, again and again; now and then
// it removes all and begins anew.
func stepTree(w *crashWriter, n int) error {
	if w.tree == nil {
		if err := w.loadTree(); err != nil {
			return err
		}
	}
	switch {
	case w.tree.at == "":
		return w.plantTree(n)
	case n%12 == 0:
		return w.fellTree()
	case n%4 == 0:
		return w.changeTree(n)
	}
	return w.moveTree(n)
}

// loadTree looks for the tree that another process has left, also a half of one.
func (w *crashWriter) loadTree() error {
	tree := &crashTree{holds: map[string]content{}}
	w.tree = tree
	top, err := os.ReadDir(w.at("tree"))
	if err != nil {
		return err
	}
	for _, dir := range top {
		key := "tree/" + dir.Name() + "/"
		in, err := os.ReadDir(w.at(key))
		switch {
		case err != nil:
			return err
		case len(in) == 0:
			if err := w.remove(key); err != nil {
				return err
			}
		case tree.at != "":
			return fmt.Errorf("there are two trees: %s and %s", tree.at, key)
		default:
			tree.at = key
		}
	}
	if tree.at == "" {
		return nil
	}
	root := w.at(tree.at)
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		name, _ := filepath.Rel(root, path)
		switch {
		case err != nil || name == ".":
			return err
		case d.IsDir():
			tree.holds[name+"/"] = ofMarker
			return nil
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		tree.holds[name], err = contentFrom(f)
		return err
	})
}

// plantTree makes the directories and then the files.
func (w *crashWriter) plantTree(n int) error {
	w.tree = &crashTree{at: fmt.Sprintf("tree/%d/", n), holds: map[string]content{}}
	for _, name := range []string{"", "sub/"} {
		if err := w.mkdir(w.tree.at + name); err != nil {
			return err
		}
	}
	w.tree.holds["sub/"] = ofMarker
	var g errgroup.Group
	for i := range 12 + w.r.IntN(36) {
		name := []string{"", "sub/"}[i%2] + fmt.Sprint(i)
		g.Go(w.leaf(name))
	}
	return g.Wait()
}

func (w *crashWriter) mkdir(key string) error {
	return w.do(map[string]content{key: ofMarker}, func() error { return os.Mkdir(w.at(key), 0o755) })
}

// leaf is a call that writes a file of the tree.
func (w *crashWriter) leaf(name string) func() error {
	key, b := w.tree.at+name, w.noise(20_000)
	w.tree.holds[name] = contentOf(b)
	return func() error {
		return w.makes(key, b, func() error { return os.WriteFile(w.at(key), b, 0o644) })
	}
}

// fellTree removes the files, then the directories.
func (w *crashWriter) fellTree() error {
	var files, dirs []string
	for name := range w.tree.holds {
		if strings.HasSuffix(name, "/") {
			dirs = append(dirs, name)
		} else {
			files = append(files, name)
		}
	}
	for _, name := range append(append(files, dirs...), "") {
		if err := w.remove(w.tree.at + name); err != nil {
			return err
		}
	}
	w.tree = &crashTree{}
	return nil
}

func (w *crashWriter) remove(key string) error {
	return w.do(map[string]content{key: ""}, func() error { return os.Remove(w.at(key)) })
}

// changeTree renames one file within the tree, over another one, removes one and
// writes one.
func (w *crashWriter) changeTree(n int) error {
	var files []string
	for name := range w.tree.holds {
		if !strings.HasSuffix(name, "/") {
			files = append(files, name)
		}
	}
	slices.Sort(files)
	if len(files) < 3 {
		return w.leaf(fmt.Sprintf("new%d", n))()
	}
	w.r.Shuffle(len(files), func(i, j int) { files[i], files[j] = files[j], files[i] })
	from, to, gone := files[0], files[1], files[2]
	at, c := w.tree.at, w.tree.holds[from]
	err := w.do(map[string]content{at + from: "", at + to: c}, func() error { return os.Rename(w.at(at+from), w.at(at+to)) })
	if err != nil {
		return err
	}
	w.tree.holds[to] = c
	delete(w.tree.holds, from)
	if err := w.remove(at + gone); err != nil {
		return err
	}
	delete(w.tree.holds, gone)
	return w.leaf(fmt.Sprintf("new%d", n))()
}

// moveTree renames the directory, now and then onto an empty one.
func (w *crashWriter) moveTree(n int) error {
	from, to := w.tree.at, fmt.Sprintf("tree/%d/", n)
	if from == to {
		return nil
	}
	if n%3 == 0 {
		if err := w.mkdir(to); err != nil {
			return err
		}
	}
	after := map[string]content{from: "", to: ofMarker}
	for name, c := range w.tree.holds {
		after[from+name], after[to+name] = "", c
	}
	// os.Rename refuses to replace a directory.
	err := w.do(after, func() error { return unix.Rename(w.at(from), w.at(to)) })
	w.tree.at = to
	return err
}
