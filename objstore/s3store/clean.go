package s3store

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/pailfs/pailfs/internal/registry"
	"github.com/pailfs/pailfs/objstore"
)

// S3 lists unfinished uploads with nothing that tells whose they are. So each
// process keeps those that it began in a registry on the local disk; one killed
// between the answer to CreateMultipartUpload and that note leaves an upload
// that only a lifecycle rule of the bucket finds.

// A begun is an upload in the registry.
type begun struct {
	Store string // endpoint and bucket
	Key   string
	ID    string
	At    time.Time
}

func (s *Store) name() string { return s.cfg.Endpoint + "/" + s.cfg.Bucket }

func (u *upload) entry() string {
	b, err := json.Marshal(begun{u.s.name(), u.key, u.id, u.at})
	if err != nil {
		return "" // not with these types
	}
	return string(b)
}

// ended takes the upload out of the registry. A failure costs one vain abort
// later, no more.
func (u *upload) ended() {
	if err := u.s.uploads.End(u.entry()); err != nil {
		u.s.cfg.Log.Warn("the end of an upload is not noted", "key", u.key, "upload", u.id, "err", err)
	}
}

var errKeep = errors.New("not to be aborted now")

// AbortStale aborts the uploads that processes of this machine left behind when
// they died. Without Config.StateDir it knows of none.
func (s *Store) AbortStale(ctx context.Context, prefix string, olderThan time.Time) (int, error) {
	if s.cfg.StateDir == "" {
		return 0, nil
	}
	var (
		aborted      int
		kept, failed []error
	)
	err := registry.Orphans(s.cfg.StateDir, func(entry string) error {
		var b begun
		if err := json.Unmarshal([]byte(entry), &b); err != nil {
			return nil // cut short by a crash
		}
		if b.Store != s.name() || !strings.HasPrefix(b.Key, prefix) || !b.At.Before(olderThan) {
			kept = append(kept, errKeep)
			return errKeep
		}
		if err := s.abort(ctx, b.Key, b.ID); err != nil {
			failed = append(failed, err)
			return err
		}
		aborted++
		return nil
	})
	switch {
	case len(failed) > 0:
		return aborted, s.classify("abort", prefix, failed[0])
	case len(kept) > 0: // Orphans repeats what it was told
		return aborted, nil
	}
	return aborted, s.classify("abort", prefix, err)
}

// abort is one AbortMultipartUpload. An upload that is gone is success.
func (s *Store) abort(ctx context.Context, key, id string) error {
	_, err := s.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &s.cfg.Bucket, Key: &key, UploadId: &id})
	if err != nil && newFailure(err).code != "NoSuchUpload" {
		return s.classify("abort", key, err)
	}
	return nil
}

var _ objstore.Cleaner = (*Store)(nil)
