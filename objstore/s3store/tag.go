package s3store

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/pailfs/pailfs/objstore"
)

// The metadata of an upload are fixed before its bytes are known: their SHA-256
// goes into a tag of the object. S3 takes tags without a condition, so that another
// object may be there by then: the tag names the ETag too, and is believed only with
// that. What counts against a tag for anything more: S3 asks for rights of their own.

// tagTime bounds the request for a tag, for which a close waits.
const tagTime = 10 * time.Second

// tagging is what is known of an endpoint's tags.
type tagging struct {
	probing sync.Mutex
	answer  atomic.Int32 // an answer
}

// SetSHA256 has Commit note the sum.
func (u *upload) SetSHA256(sum []byte) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.sum = sum
}

// noteSHA256 tags an object that was just committed, and reports whether that was
// possible. Nothing depends on it: what fails is logged, and told to nobody else.
func (s *Store) noteSHA256(ctx context.Context, key string, v objstore.Version, sum []byte) bool {
	ctx, cancel := context.WithTimeout(ctx, tagTime)
	defer cancel()
	if !s.takesTags(ctx) {
		return false
	}
	if err := s.putTag(ctx, key, v, sum); err != nil {
		s.untagged(err)
		s.cfg.Log.Warn("an object has no tag with its SHA-256; it is whole", "key", key, "err", s.classify("tag", key, err))
		return false
	}
	return true
}

// putTag is one PutObjectTagging. Its error is the SDK's.
func (s *Store) putTag(ctx context.Context, key string, v objstore.Version, sum []byte) error {
	_, err := s.client.PutObjectTagging(ctx, &s3.PutObjectTaggingInput{
		Bucket: &s.cfg.Bucket, Key: &key,
		Tagging: &types.Tagging{TagSet: []types.Tag{{Key: aws.String(objstore.MetaSHA256), Value: aws.String(tagValue(v, sum))}}},
	})
	return err
}

// tagValue keeps to what tags may hold ("Object tagging restrictions" in the S3
// User Guide: 256 characters, ":" among them).
func tagValue(v objstore.Version, sum []byte) string {
	return hex.EncodeToString(sum) + ":" + string(v)
}

// tag is the sum that the object's tag gives for version v, or nil. Its error is
// the SDK's.
func (s *Store) tag(ctx context.Context, key string, v objstore.Version) ([]byte, error) {
	out, err := s.client.GetObjectTagging(ctx, &s3.GetObjectTaggingInput{Bucket: &s.cfg.Bucket, Key: &key})
	if err != nil {
		return nil, err
	}
	for _, t := range out.TagSet {
		text, of, _ := strings.Cut(aws.ToString(t.Value), ":")
		sum, err := hex.DecodeString(text)
		if aws.ToString(t.Key) == objstore.MetaSHA256 && of == string(v) && err == nil && len(sum) == sha256.Size {
			return sum, nil
		}
	}
	return nil, nil
}

// untagged takes a refusal for an answer that holds for all objects.
func (s *Store) untagged(err error) {
	switch newFailure(err).status {
	case http.StatusForbidden, http.StatusNotImplemented, http.StatusMethodNotAllowed, http.StatusBadRequest:
		s.tagging.answer.Store(int32(refused))
	}
}

// takesTags reports whether objects may be tagged. A server that does not know of
// tags might take the request for a Put of the object: it is tried on an object of
// no worth first.
func (s *Store) takesTags(ctx context.Context) bool {
	s.tagging.probing.Lock()
	defer s.tagging.probing.Unlock()
	if answer(s.tagging.answer.Load()) == unknown && !s.cfg.amazon() {
		a := s.probeTags(ctx)
		s.tagging.answer.Store(int32(a))
		if a != honoured {
			s.cfg.Log.Warn("the store takes no tags: the SHA-256 of objects in parts is not noted", "bucket", s.cfg.Bucket)
		}
	}
	return answer(s.tagging.answer.Load()) != refused
}

func (s *Store) probeTags(ctx context.Context) answer {
	prefix := s.probed.Load()
	if prefix == nil {
		return refused
	}
	key := *prefix + ".pailfs/probe-" + rand.Text()
	body := io.NewSectionReader(bytes.NewReader(probeContent), 0, int64(len(probeContent)))
	o, err := s.put(ctx, key, body, objstore.PutOptions{}, headers{}, *s.algorithm.Load())
	if err != nil {
		return refused
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tagTime)
		defer cancel()
		if err := s.delete(ctx, key, headers{}); err != nil {
			s.cfg.Log.Warn("a probe object may stay behind", "key", key, "err", s.classify("delete", key, err))
		}
	}()
	want := sha256.Sum256(probeContent)
	if s.putTag(ctx, key, o.Version, want[:]) != nil {
		return refused
	}
	got, err := s.tag(ctx, key, o.Version)
	if err != nil || !bytes.Equal(got, want[:]) {
		return refused
	}
	if now, err := s.head(ctx, "stat", key, o.Version); err != nil || now.Size != o.Size {
		return refused
	}
	return honoured
}

// noted gives an object the sum from its tag where its metadata point there.
func (s *Store) noted(ctx context.Context, o objstore.Object) objstore.Object {
	if o.Metadata[objstore.MetaSHA256] != objstore.SHA256Later || answer(s.tagging.answer.Load()) == refused {
		return o
	}
	sum, err := s.tag(ctx, o.Key, o.Version)
	if err != nil {
		s.untagged(err)
		s.cfg.Log.Debug("the SHA-256 in a tag cannot be read", "key", o.Key, "err", s.classify("tag", o.Key, err))
	}
	if sum != nil {
		o.Metadata[objstore.MetaSHA256] = hex.EncodeToString(sum)
	}
	return o
}
