package gcsstore

import (
	"context"
	"fmt"
	"maps"

	"cloud.google.com/go/storage"
	"google.golang.org/api/googleapi"
	raw "google.golang.org/api/storage/v1"

	"github.com/pailfs/pailfs/objstore"
)

// Copy looks at the source first: a copy keeps its storage class and its like
// only if they are sent again.
func (s *Store) Copy(ctx context.Context, dst, src string, opt objstore.CopyOptions) (objstore.Object, error) {
	var none objstore.Object
	if err := checkKey("copy", dst); err != nil {
		return none, err
	}
	if err := checkKey("copy", src); err != nil {
		return none, err
	}
	if dst == src {
		return s.rewriteMetadata(ctx, src, opt)
	}
	from, err := s.attrs(ctx, src)
	if err == nil && opt.Src != "" && version(from.Generation) != opt.Src {
		err = objstore.NewError("copy", src, objstore.ErrCond, fmt.Errorf("version %d is there", from.Generation))
	}
	if err != nil {
		return none, s.classify("copy", src, err)
	}
	if err := s.lookFirst(ctx, "copy", dst, opt.Dst); err != nil {
		return none, err
	}
	want := *from
	want.Name = dst
	if opt.Metadata != nil {
		want.Metadata = encodeMetadata(opt.Metadata)
	}
	a, err := s.rewrite(ctx, from, &want, opt.Dst)
	if err != nil {
		return none, s.classify("copy", dst, err)
	}
	return object(a), nil
}

// rewrite copies an object inside the service, however large, to the name and
// the attributes of want. Its error is the SDK's.
func (s *Store) rewrite(ctx context.Context, from, want *storage.ObjectAttrs, cond objstore.Cond) (*storage.ObjectAttrs, error) {
	t := new(tries)
	source := s.object(from.Name, t).If(storage.Conditions{GenerationMatch: from.Generation})
	c := conditional(s.object(want.Name, t), cond).CopierFrom(source)
	c.ContentType, c.StorageClass, c.Metadata = want.ContentType, want.StorageClass, want.Metadata
	c.CacheControl, c.ContentDisposition = want.CacheControl, want.ContentDisposition
	c.ContentEncoding, c.ContentLanguage = want.ContentEncoding, want.ContentLanguage
	a, err := c.Run(ctx)
	if err != nil {
		return s.settle(ctx, t, want, err)
	}
	return a, nil
}

// rewriteMetadata replaces the metadata of an object where it is: its bytes, and
// so its version, stay. A patch adds to the metadata that is there, so that the
// old names must be known and sent as null; the metageneration sees to it that
// they are still all.
func (s *Store) rewriteMetadata(ctx context.Context, key string, opt objstore.CopyOptions) (objstore.Object, error) {
	var none objstore.Object
	for range 10 { // changed meanwhile by somebody else
		a, err := s.attrs(ctx, key)
		switch {
		case err != nil:
			return none, s.classify("copy", key, err)
		case opt.Dst.Absent,
			opt.Src != "" && opt.Src != version(a.Generation),
			opt.Dst.Version != "" && opt.Dst.Version != version(a.Generation):
			return none, objstore.NewError("copy", key, objstore.ErrCond, fmt.Errorf("version %d is there", a.Generation))
		}
		metadata := encodeMetadata(opt.Metadata)
		if opt.Metadata == nil || maps.Equal(metadata, a.Metadata) {
			return object(a), nil
		}
		err = s.patch(ctx, a, metadata)
		if err == nil {
			a.Metadata = metadata
			return object(a), nil
		}
		if !unmet(err) {
			return none, s.classify("copy", key, err)
		}
	}
	return none, &objstore.Error{Op: "copy", Key: key, Kind: objstore.ErrCond}
}

// patch is one objects.patch. Its error is the SDK's.
func (s *Store) patch(ctx context.Context, a *storage.ObjectAttrs, metadata map[string]string) error {
	body := &raw.Object{Metadata: metadata}
	if len(metadata) == 0 {
		body.NullFields = []string{"Metadata"}
	}
	for k := range a.Metadata {
		if _, stays := metadata[k]; !stays && len(metadata) > 0 {
			body.NullFields = append(body.NullFields, "Metadata."+k)
		}
	}
	call := s.raw.Objects.Patch(s.cfg.Bucket, a.Name, body).Fields(googleapi.Field("generation")).
		IfGenerationMatch(a.Generation).IfMetagenerationMatch(a.Metageneration)
	if s.cfg.UserProject != "" {
		call.UserProject(s.cfg.UserProject)
	}
	return s.retry(ctx, new(tries), func() error {
		_, err := call.Context(ctx).Do()
		return err
	})
}
