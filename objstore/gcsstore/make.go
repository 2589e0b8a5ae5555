package gcsstore

import (
	"context"
	"errors"
	"net/http"
	"os"

	"github.com/pailfs/pailfs/objstore"
)

// Make makes the bucket, where Google makes it by default: the multi-region US,
// class STANDARD. Its project is the configuration's, else that of
// GOOGLE_CLOUD_PROJECT, else that of the credentials.
func (s *Store) Make(ctx context.Context) error {
	project, err := s.project(ctx)
	if err != nil {
		return err
	}
	return s.classify("make bucket", s.cfg.Bucket, s.client.Bucket(s.cfg.Bucket).Create(ctx, project, nil))
}

func (s *Store) project(ctx context.Context) (string, error) {
	for _, p := range []string{s.cfg.Project, os.Getenv("GOOGLE_CLOUD_PROJECT")} {
		if p != "" {
			return p, nil
		}
	}
	none := &objstore.Error{Op: "make bucket", Key: s.cfg.Bucket, Kind: objstore.ErrOther,
		Err: errors.New("no project is known for it: give project=, or GOOGLE_CLOUD_PROJECT")}
	if s.cfg.Anonymous || !s.cfg.named() && !s.cfg.google() {
		return "", none
	}
	creds, err := detect(s.cfg, &http.Client{Transport: s.transport})
	if err != nil {
		return "", s.classify("make bucket", s.cfg.Bucket, err)
	}
	project, err := creds.ProjectID(ctx)
	if err != nil || project == "" {
		return "", none
	}
	return project, nil
}
