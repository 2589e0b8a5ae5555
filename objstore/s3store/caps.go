package s3store

import (
	"strings"

	"github.com/pailfs/pailfs/objstore"
)

const (
	kib = int64(1) << 10
	mib = kib << 10
	gib = mib << 10
	tib = gib << 10
)

// Limits of docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
// ("multipart upload limits"); one Put and one Copy move 5 GiB at most.
const (
	minPart   = 5 * mib
	maxPart   = 5 * gib
	maxParts  = 10_000
	maxObject = maxParts * maxPart // 48.8 TiB

	// What Amazon held before 2025, and what others promise: Ceph, Wasabi and R2
	// 5 TB or TiB, MinIO and B2 more.
	maxObjectElsewhere = 5 * tib
)

// An answer is what is known of how an endpoint treats a conditional request.
type answer int

const (
	unknown  answer = iota // the header is sent, and the object looked at first
	honoured               // the endpoint decides
	refused                // a request with the header fails: it is left out
)

func (a answer) String() string {
	return [...]string{"not honoured", "honoured", "refused"}[a]
}

// facts are what is known of an endpoint. They do not change once stored.
type facts struct {
	condPut, condCopy, condDelete answer

	// deletesNothing: a Delete of a version succeeds where no object is.
	deletesNothing bool
	// paths: keys are cleaned like the paths of files ("a//b" is "a/b").
	paths bool
	// badPartCopies: a part copied from a range gets the checksum of the whole
	// source, so that a commit which must name the parts' checksums fails.
	badPartCopies bool
}

// Amazon S3 honours conditions on Put and Complete (since 2024), and on Copy
// and Delete (since 2025); see the userguide's conditional-requests.html.
var amazonFacts = facts{condPut: honoured, condCopy: honoured, condDelete: honoured}

func (s *Store) Caps() objstore.Caps {
	f := s.facts.Load()
	c := objstore.Caps{
		MaxPut:    maxPart,
		MinPart:   minPart,
		MaxPart:   maxPart,
		MaxObject: maxObjectElsewhere,
		MaxParts:  maxParts,
		MaxCopy:   maxPart,
		// Directory buckets list in no order (ListObjectsV2 in the API reference).
		SortedList: !strings.HasSuffix(s.cfg.Bucket, "--x-s3"),
		CondPut:    f.condPut == honoured,
		CondCopy:   f.condCopy == honoured || f.condPut == honoured, // see Copy
		CondDelete: f.condDelete == honoured,
	}
	if s.cfg.amazon() {
		c.MaxObject = maxObject
	}
	if s.cfg.MaxObject > 0 {
		c.MaxObject = s.cfg.MaxObject
	}
	return c
}
