// Package readahead turns the kernel's READ requests on one object version into
// a few ranged Gets.
//
// A Reader finds out which reads belong together: a stream is a run of reads
// that go forward, in any order the kernel sends them. A stream has a window of
// bytes that it fetches ahead, in chunks, several at once; the window follows
// what was read of late. A read that belongs to no stream is a seed: it fetches
// what it asked for and no more, until another read continues it.
//
// A chunk is one Get. Chunks of a Reader never overlap, so no byte is fetched
// twice while it is held, and reads that need the same chunk share its Get.
// Chunks consist of segments, which are handed out as they fill and given back
// as they have been read.
//
// All Readers of a Pool share one memory budget. Where it is short the window
// shrinks to what it gets; streams that nobody reads give theirs back; and where
// nothing is left a read fetches its own range straight into the caller's slice,
// which needs no memory, so that every read goes on whatever others hold.
//
// A cache of blocks fits below, as a Getter around the Store. So that it gets
// whole blocks, Gets end where segments of the object end.
//
// Lock order: Reader.mu, Pool.mu. While holding both, another Reader's mu is
// only tried, never waited for. No lock is held across a Store call.
package readahead
