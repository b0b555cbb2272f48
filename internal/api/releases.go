package api

import (
	"context"

	"github.com/steadpaas/stead"
)

// ReleaseRef is the part of an input that names a release.
type ReleaseRef struct {
	AppRef
	Version int `path:"version" minimum:"1"`
}

func releases(s *server) {
	type paged struct {
		AppRef
		PageQuery
	}
	handle(s, op("Releases", "GET", "apps/{app}/releases", "List releases, newest first"), func(ctx context.Context, in *paged) (list[stead.Release], error) {
		all, err := s.p.Releases(ctx, in.App)
		if err != nil {
			return list[stead.Release]{}, err
		}
		return page(all, in.PageQuery, func(r stead.Release) int { return r.Version })
	})
	handle(s, op("Release", "GET", "apps/{app}/releases/{version}", "A release"), func(ctx context.Context, in *ReleaseRef) (stead.Release, error) {
		return s.p.Release(ctx, in.App, in.Version)
	})
	type rollback struct {
		AppRef
		Body *struct {
			Version int `json:"version,omitempty" minimum:"0" doc:"Absent or 0: the one before the live one."`
		}
	}
	handle(s, op("Rollback", "POST", "apps/{app}/rollback", "Make a new release of an old one"), func(ctx context.Context, in *rollback) (stead.Release, error) {
		version := 0
		if in.Body != nil {
			version = in.Body.Version
		}
		return s.p.Rollback(ctx, in.App, version)
	})
}
