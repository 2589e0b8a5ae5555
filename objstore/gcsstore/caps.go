package gcsstore

import (
	"github.com/pailfs/pailfs/objstore"
)

const (
	mib = int64(1) << 20
	tib = int64(1) << 40
)

// Limits of cloud.google.com/storage/quotas ("objects"): one object, and one
// request, hold 5 TiB; a compose takes 32 sources.
const (
	maxObject  = 5 * tib
	maxSources = 32

	// A composite object may have any number of components; we stop where the
	// composing itself gets long.
	maxParts = 10_000
)

// facts are what is known of an endpoint. They do not change once stored.
type facts struct {
	honoured bool // conditions of compose, rewrite and delete count, not only those of an insert
	headers  bool // downloads carry the metadata of the object
}

func (s *Store) Caps() objstore.Caps {
	honoured := s.facts.Load().honoured
	return objstore.Caps{
		MaxPut:    maxObject,
		MinPart:   1,
		MaxPart:   maxObject,
		MaxObject: maxObject,
		MaxParts:  maxParts,
		MaxCopy:   maxObject,

		OrderedParts: s.cfg.OneStream,
		SortedList:   true,
		ListMetadata: true,
		CondPut:      honoured || s.cfg.OneStream,
		CondCopy:     honoured,
		CondDelete:   honoured,
	}
}
