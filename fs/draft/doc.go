// Package draft is the write path: a Draft is one file that is being written,
// from its first byte to the object that a commit makes of it.
//
// # Where bytes are
//
// A byte of a draft is in one of these places, the first that has it:
//
//   - staged: in memory (package staging), counted against the pool's budget;
//   - in a piece: a range of an object (the base that is edited, or a private
//     object), of the draft's file in the cache directory, or of the upload under
//     way, where it is gone until the commit;
//   - nowhere: it is zero.
//
// Staged bytes are dirty when no piece has them. Bytes that are not dirty may be
// dropped at any time. The staging file has zeros wherever nothing is staged, so a
// run of staged bytes and holes is the body of a request as it is.
//
// # How bytes get to the store
//
// A file that fits in one part is one Put at the commit. A larger one that is
// written from its start, or appended to, has an early upload (stream): each part
// goes out when it is complete and the writer is some MiB beyond, several at once. A
// part that changes after it was sent is sent again by the commit. Everything else is
// planned at the commit: what is in objects of the store is copied there, the rest
// is sent, neighbours of a change are read and sent with it where parts would be too
// small. No part is ever in flight twice, for the two could arrive in any order.
//
// Stores that want parts in order take no part again, so for them there is no
// early upload.
//
// # Memory
//
// A write waits until the budget has room for its pages. While one waits, the
// reclaimer takes, in this order, as much as is wanted:
//
//  1. the caches of drafts without changes, the least recently used first,
//     then other bytes that are not dirty;
//  2. parts that were sent, and written completely since the last commit, of files
//     written in order. The first part of a new file is exempt: pg_dump and others
//     write it again at the end. With KeepSent they go to the cache directory, else
//     they are gone. With SHA256, parts behind a hole that is not summed yet wait;
//  3. what is on its way: complete parts are sent without further delay, and the
//     reclaimer waits for one to arrive. Then parts of 2 that are not summed;
//  4. dirty bytes to the cache directory, as far as it has room;
//  5. dirty bytes of the draft that has most of them, to a private object (a spill).
//     They are a piece like any other from then on. First go parts that were sent and
//     kept, for they go only once.
//
// This always comes to an end, whatever the number of writers and the order in which
// one thread writes to many files, as long as the store answers. Every staged byte is
// clean, or dirty: a clean one is dropped, unless a part in flight reads it, and that
// flight ends. A dirty one is spilled by one Put, which needs no memory of the budget,
// no progress of any writer, and no lock but its draft's for a moment. The exceptions
// are the bytes of a draft in Commit, SaveTo or compact: those take nothing from the
// budget (parts that are not all at hand are put together on the heap, under a
// limit of its own, or streamed through a window), wait for nothing but the store, and
// end. A writer that waits holds nothing: what it got is used at once, or given back. A
// spill that fails is told to the writer that waits longest, so nobody waits on a
// store that is away.
//
// Beyond the budget a draft uses some heap for its list of pieces (when they are too
// many, the content is written to one private object), the pool 4 parts for putting
// parts together, and 1 MiB for each part in flight that is streamed.
//
// # SHA-256
//
// The sum in the metadata is one of the bytes that are sent: of one Put as a whole, of
// parts (with Options.SHA256) as a running sum from the first byte on, continued
// when a part is sent or dropped, up to the first hole. A change of what is summed
// starts it anew at the commit, if all bytes are in memory then. A copy inside the
// store takes the sum of its source along; where none is known the object has none.
//
// # What cannot be done
//
// A file that was written strictly in order for more than the budget, and is then
// changed in the middle of a part that is gone, cannot be: WriteAt fails with
// ErrRewriteGone, unless KeepSent had room for it. As soon as a file shows that it
// changes what it wrote (behind the first part, and further back than the kernel
// reorders writes), nothing more of it is left to the upload: it is spilled instead.
// Until the commit such bytes cannot be read either (ErrGone), nor saved elsewhere.
//
// # Part sizes
//
// See ladder. Parts beyond a quarter of the budget are spilled while they fill, and
// read back when they are sent: slow, but any file up to Pool.MaxSize can be
// written with any budget.
//
// # Locks
//
// Draft.op (writers share it, a commit has it alone; waiting for it respects the
// context) before Draft.mu before Pool.mu, and the locks of budget and staging.File,
// which are leaves. Draft.mu is held over copies to and from the staging files, never
// over a call of the store or of the function given to Start.
package draft
