package heroku

import (
	"context"
	"io"
	"iter"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/logs"
)

func buildRoutes() []route {
	return []route{
		{Method: "GET", Path: "/apps/{app}/builds", Title: "build: list", do: (*call).builds},
		{Method: "POST", Path: "/apps/{app}/builds", Title: "build: create", do: (*call).createBuild},
		{Method: "GET", Path: "/apps/{app}/builds/{build}", Title: "build: info", do: (*call).build},
		{Method: "DELETE", Path: "/apps/{app}/builds/{build}", Title: "build: cancel", do: (*call).cancelBuild},
		{Method: "DELETE", Path: "/apps/{app}/build-cache", Title: "build: delete cache", why: "builds share one cache, which has a budget and is never stale"},
		{Method: "POST", Path: "/sources", Title: "source: create", do: (*call).createSource},
		{Method: "POST", Path: "/apps/{app}/sources", Title: "source: create (deprecated)", do: (*call).createSource},
	}
}

func buildStatus(s stead.BuildState) string {
	switch s {
	case stead.BuildSucceeded:
		return "succeeded"
	case stead.BuildFailed, stead.BuildCanceled:
		return "failed"
	}
	return "pending"
}

func (c *call) showBuild(b stead.Build, releases map[int]stead.ID) (object, error) {
	url, err := c.outputURL(printing{app: string(b.AppID), build: b.Number})
	if err != nil {
		return nil, err
	}
	var slug, release, packs any
	if b.State == stead.BuildSucceeded {
		slug = object{"id": b.ID}
		if id, ok := releases[b.Release]; ok {
			release = object{"id": id}
		}
	}
	if b.Pack != "" {
		packs = []object{{"url": packURL(b.Pack), "name": b.Pack}}
	}
	at := b.CreatedAt
	if b.FinishedAt != nil {
		at = *b.FinishedAt
	}
	return object{"id": b.ID, "app": object{"id": b.AppID}, "status": buildStatus(b.State), "stack": stackName, "buildpacks": packs,
		"source_blob": object{"url": c.base + "/sources/" + b.Source.Digest, "version": orNull(b.Source.Commit),
			"version_description": orNull(b.Source.Message), "checksum": orNull(b.Source.Digest)},
		"slug": slug, "release": release, "output_stream_url": url, "user": c.person(b.By), "created_at": stamp(b.CreatedAt), "updated_at": stamp(at)}, nil
}

func (c *call) releaseIDs() (map[int]stead.ID, error) {
	all, err := c.p.Releases(c.ctx, c.app())
	out := map[int]stead.ID{}
	for _, r := range all {
		out[r.Version] = r.ID
	}
	return out, err
}

func (c *call) builds() (any, error) {
	all, err := c.p.Builds(c.ctx, c.app())
	if err != nil {
		return nil, err
	}
	ids, err := c.releaseIDs()
	if err != nil {
		return nil, err
	}
	out := []object{}
	for _, b := range all[:min(len(all), maxPage)] {
		o, err := c.showBuild(b, ids)
		if err != nil {
			return nil, err
		}
		out = append(out, o)
	}
	return out, nil
}

// buildOf finds an app's build by ID.
func (c *call) buildOf(app string, id stead.ID) (stead.Build, bool, error) {
	all, err := c.p.Builds(c.ctx, app)
	for _, b := range all {
		if b.ID == id {
			return b, true, err
		}
	}
	return stead.Build{}, false, err
}

func (c *call) findBuild() (stead.Build, error) {
	b, ok, err := c.buildOf(c.app(), stead.ID(c.params["build"]))
	if err == nil && !ok {
		err = stead.NotFound("build", c.params["build"])
	}
	return b, err
}

func (c *call) build() (any, error) {
	b, err := c.findBuild()
	if err != nil {
		return nil, err
	}
	ids, err := c.releaseIDs()
	if err != nil {
		return nil, err
	}
	return c.showBuild(b, ids)
}

func (c *call) cancelBuild() (any, error) {
	b, err := c.findBuild()
	if err != nil {
		return nil, err
	}
	if b, err = c.p.CancelBuild(c.ctx, c.app(), b.Number); err != nil {
		return nil, err
	}
	return c.showBuild(b, nil)
}

// upload is a source on its way: made by POST, filled by PUT, named in a build.
type upload struct{ source stead.Source }

const uploadLife = time.Hour

// createSource gives a URL to put a tar.gz tree to, which is also the URL that
// a build is made of.
func (c *call) createSource() (any, error) {
	if c.app() != "" {
		if _, err := c.p.App(c.ctx, c.app()); err != nil {
			return nil, err
		}
	}
	secret, err := c.tickets.issue(c.actor, upload{}, uploadLife, false)
	if err != nil {
		return nil, err
	}
	url := c.base + "/uploads/" + secret
	return c.created(object{"source_blob": object{"get_url": url, "put_url": url}}), nil
}

// receive takes what is put to a source's URL.
func (s *server) receive(w http.ResponseWriter, r *http.Request, secret string) {
	actor, _, ok := use[upload](s.tickets, secret)
	if !ok || r.Method != http.MethodPut {
		s.refuse(w, r, stead.NotFound("source", "of this URL"))
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // uploads take their time
	src, err := s.p.UploadSource(stead.WithActor(r.Context(), actor), "", io.Reader(r.Body))
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	s.tickets.put(secret, upload{src})
	w.WriteHeader(http.StatusOK)
}

func (c *call) createBuild() (any, error) {
	var in struct {
		SourceBlob struct {
			URL         string `json:"url"`
			Version     string `json:"version"`
			Description string `json:"version_description"`
		} `json:"source_blob"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if _, err := c.p.Authorize(c.ctx, c.app(), stead.ActWrite); err != nil {
		return nil, err // before anything is said of the source
	}
	src, err := c.uploaded(in.SourceBlob.URL)
	if err != nil {
		return nil, err
	}
	src.Message = in.SourceBlob.Description
	if v := in.SourceBlob.Version; hexadecimal(v) {
		src.Commit = v
	} else if src.Message == "" {
		src.Message = v
	}
	b, err := c.p.Push(c.ctx, c.app(), src)
	if err != nil {
		return nil, err
	}
	o, err := c.showBuild(b, nil)
	return c.created(o), err
}

func hexadecimal(s string) bool {
	return len(s) == 40 && strings.Trim(s, "0123456789abcdef") == ""
}

// uploaded returns the source behind one of our own URLs. Others are not
// fetched: the platform calls no foreign host for a caller.
func (c *call) uploaded(url string) (stead.Source, error) {
	dir, secret := path.Split(url)
	actor, u, ok := use[upload](c.tickets, secret)
	switch {
	case !ok || !strings.HasSuffix(dir, "/uploads/") || actor.UserID != c.actor.UserID:
		return stead.Source{}, stead.Invalid("source_blob.url", "the source is not one that was uploaded here, or its URL has expired",
			"POST /sources, put the tar.gz to its put_url, and give its get_url")
	case u.source.Digest == "":
		return stead.Source{}, stead.Invalid("source_blob.url", "nothing was put to the source's URL yet", "put the tar.gz to it first")
	}
	return u.source, nil
}

// printing is what an output's URL gives: a build's or a release's lines.
type printing struct {
	app            string
	build, release int
}

func (c *call) outputURL(p printing) (string, error) {
	secret, err := c.tickets.issue(c.actor, p, sessionLife, false)
	return c.base + "/streams/" + secret, err
}

// print answers an output's URL: the text so far, then what is to come.
func (s *server) print(w http.ResponseWriter, r *http.Request, actor stead.Actor, p printing) {
	ctx := stead.WithActor(r.Context(), actor)
	lines, err := s.lines(ctx, p)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	o := begin(w, false)
	for l, err := range lines {
		if err != nil || o.line("", l.Text) != nil {
			return
		}
	}
}

func (s *server) lines(ctx context.Context, p printing) (iter.Seq2[logs.Line, error], error) {
	if p.build > 0 {
		return s.p.BuildOutput(ctx, p.app, p.build, true)
	}
	return s.p.ReleaseOutput(ctx, p.app, p.release, true)
}
