package api

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/steadpaas/stead"
)

// upload is the input of an operation that reads its body as it comes.
type upload struct {
	AppRef
	ctx huma.Context
}

// Resolve keeps the request for its body.
func (u *upload) Resolve(ctx huma.Context) []error {
	u.ctx = ctx
	return nil
}

// anyUpload is upload for no app in particular.
type anyUpload struct{ ctx huma.Context }

// Resolve keeps the request for its body.
func (u *anyUpload) Resolve(ctx huma.Context) []error {
	u.ctx = ctx
	return nil
}

// archive is the body, at most max bytes.
func archive(ctx huma.Context, max int64) io.Reader {
	r, w := unwrap(ctx)
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // a large upload may take long
	return http.MaxBytesReader(w, r.Body, max)
}

func binary(o *huma.Operation) {
	o.RequestBody = &huma.RequestBody{Required: true, Description: "A tar.gz of the tree.",
		Content: map[string]*huma.MediaType{"application/gzip": {Schema: &huma.Schema{Type: "string", Format: "binary"}}}}
}

// BuildRef is the part of an input that names a build.
type BuildRef struct {
	AppRef
	Number int `path:"number" minimum:"1"`
}

func builds(s *server) {
	handle(s, op("UploadSource", "POST", "apps/{app}/sources", "Store an archive for a later build", binary), func(ctx context.Context, in *upload) (stead.Source, error) {
		return s.p.UploadSource(ctx, in.App, archive(in.ctx, s.maxSource))
	})
	handle(s, op("Explain", "POST", "explain", "Tell what a source is and asks for, without building it", binary, done(200)), func(ctx context.Context, in *anyUpload) (stead.Explanation, error) {
		return s.p.Explain(ctx, archive(in.ctx, s.maxSource))
	})
	type newBuild struct {
		AppRef
		Body stead.Source
	}
	handle(s, op("Push", "POST", "apps/{app}/builds", "Build and release a source or an image"), func(ctx context.Context, in *newBuild) (stead.Build, error) {
		return s.p.Push(ctx, in.App, in.Body)
	})
	type paged struct {
		AppRef
		PageQuery
	}
	handle(s, op("Builds", "GET", "apps/{app}/builds", "List builds, newest first"), func(ctx context.Context, in *paged) (list[stead.Build], error) {
		all, err := s.p.Builds(ctx, in.App)
		if err != nil {
			return list[stead.Build]{}, err
		}
		return page(all, in.PageQuery, func(b stead.Build) int { return b.Number })
	})
	handle(s, op("Build", "GET", "apps/{app}/builds/{number}", "A build"), func(ctx context.Context, in *BuildRef) (stead.Build, error) {
		return s.p.Build(ctx, in.App, in.Number)
	})
	handle(s, op("CancelBuild", "POST", "apps/{app}/builds/{number}/cancel", "End a build", done(200)), func(ctx context.Context, in *BuildRef) (stead.Build, error) {
		return s.p.CancelBuild(ctx, in.App, in.Number)
	})
}
