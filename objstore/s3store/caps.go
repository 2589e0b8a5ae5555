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
// ("multipart upload limits"); one Put and one Copy move "5 GB" at most.
const (
	minPart   = 5 * mib
	maxPart   = 5 * gib
	maxParts  = 10_000
	maxObject = maxParts * maxPart // 48.8 TiB

	// What Amazon held before 2025, and what others promise: Ceph, Wasabi and R2
	// 5 TB or TiB, MinIO and B2 more.
	maxObjectElsewhere = 5 * tib

	// Some read "5 GB" as 10^9 bytes: Backblaze's "S3-Compatible API" for parts
	// and copies, DigitalOcean's "Spaces limits" for a Put.
	maxOnce = 5_000_000_000
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
	condPut, condCommit, condCopy, condDelete answer

	// deletesNothing: a Delete of a version succeeds where no object is.
	deletesNothing bool
	// paths: keys are cleaned like the paths of files ("a//b" is "a/b").
	paths bool
	// badPartCopies: a part copied from a range gets no checksum, or that of the
	// whole source, so that an upload which names the parts' checksums fails.
	badPartCopies bool
	// noPartCopies: the store cannot copy a range into an upload at all.
	noPartCopies bool
	// blindCopies: the version that a range is to be copied of is not looked at.
	blindCopies bool
	// otherETag: a commit answers with an ETag that the object does not have.
	otherETag bool
}

// copiesAsUpload says whether an upload of one copied part heeds a condition.
func (f *facts) copiesAsUpload() bool { return f.condCommit == honoured && !f.noPartCopies }

// Amazon S3 honours conditions on Put and Complete (since 2024), and on Copy
// and Delete (since 2025); see the userguide's conditional-requests.html.
var amazonFacts = facts{condPut: honoured, condCommit: honoured, condCopy: honoured, condDelete: honoured}

func (s *Store) Caps() objstore.Caps {
	f := s.facts.Load()
	c := objstore.Caps{
		MaxPut:    maxOnce,
		MinPart:   minPart,
		MaxPart:   maxOnce,
		MaxObject: maxObjectElsewhere,
		MaxParts:  maxParts,
		MaxCopy:   maxOnce,
		// Directory buckets list in no order (ListObjectsV2 in the API reference).
		SortedList: !strings.HasSuffix(s.cfg.Bucket, "--x-s3"),
		CondPut:    f.condPut == honoured && f.condCommit == honoured,
		CondCopy:   f.condCopy == honoured || f.copiesAsUpload(),
		CondDelete: f.condDelete == honoured,
	}
	if s.cfg.amazon() {
		c.MaxPart, c.MaxObject = maxPart, maxObject
	}
	if s.cfg.MaxObject > 0 {
		c.MaxObject = s.cfg.MaxObject
	}
	return c
}
