// Package fs is the file system: the tree of nodes that the kernel sees, the
// handles of open files, and the mapping between system calls and a Store. It
// is the only importer of go-fuse.
//
// # Who guards what
//
// A node's place in the tree (parent, name, unlinked) is guarded by tree.mu.
// What a file is now (attributes, object, draft, reader, open handles) is
// guarded by file.mu, what a directory knows of its entries by dir.mu. All
// three are held for moments only; the order is dir.mu, file.mu, tree.mu.
//
// Calls on the store hold none of them. They are kept apart by things that can
// be waited for with a context, taken in this order:
//
//	file.busy    one commit, rename, removal or change of attributes at a time
//	tree.lease   the key of a node stays what it is while the lease is held;
//	             a directory is renamed when no lease below it is left
//
// # From system calls to objects
//
// Looking at a file never makes a draft. The first write or truncation does;
// from then on until the last handle is closed the draft is the content.
// FLUSH and FSYNC commit it (commit.go); with CommitAsync FLUSH puts it into the
// journal, and it is committed in the background (pending.go, uploads.go). A file
// whose content cannot be committed any more (a failed write, a lost race, a
// writer that died) is detached: its node stays with the handles that have it
// open, and the name shows what the store has.
package fs
