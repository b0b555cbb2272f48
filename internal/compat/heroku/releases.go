package heroku

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/steadpaas/stead"
)

func releaseRoutes() []route {
	return []route{
		{Method: "GET", Path: "/apps/{app}/releases", Title: "release: list", do: (*call).releases},
		{Method: "GET", Path: "/apps/{app}/releases/{release}", Title: "release: info", do: (*call).release},
		{Method: "POST", Path: "/apps/{app}/releases", Title: "release: create, rollback", do: (*call).rollback},
		{Method: "GET", Path: "/apps/{app}/slugs/{slug}", Title: "slug: info", do: (*call).slug},
		{Method: "POST", Path: "/apps/{app}/slugs", Title: "slug: create", why: "slugs are made by builds; push, or create a build"},
	}
}

func releaseStatus(s stead.ReleaseState) string {
	switch s {
	case stead.ReleaseLive, stead.ReleaseSuperseded:
		return "succeeded"
	case stead.ReleaseFailed:
		return "failed"
	}
	return "pending"
}

// showRelease serializes a release. People who made it are known by address.
func (c *call) showRelease(r stead.Release) object {
	var slug any
	if r.BuildID != "" {
		slug = object{"id": r.BuildID}
	}
	at := r.CreatedAt
	if r.LiveAt != nil {
		at = *r.LiveAt
	}
	return object{"id": r.ID, "version": r.Version, "status": releaseStatus(r.State), "current": r.State == stead.ReleaseLive,
		"description": r.Description, "app": object{"id": r.AppID, "name": r.App}, "slug": slug, "artifacts": []object{}, "addon_plan_names": []string{},
		"user": c.person(r.By), "output_stream_url": nil, "eligible_for_rollback": r.LiveAt != nil && r.State != stead.ReleaseLive,
		"created_at": stamp(r.CreatedAt), "updated_at": stamp(at)}
}

// person is who is known by address alone.
func (c *call) person(email string) object {
	if email == c.actor.Email {
		return object{"id": c.actor.UserID, "email": email}
	}
	return object{"id": idOf("user", email), "email": email}
}

func (c *call) releases() (any, error) {
	all, err := c.p.Releases(c.ctx, c.app())
	return each(all, c.showRelease), err
}

// findRelease finds a release by version ("3", "v3"), by ID, or "current".
func (c *call) findRelease() (stead.Release, error) { return c.releaseNamed(c.params["release"]) }

func (c *call) releaseNamed(ref string) (stead.Release, error) {
	if ref == "current" {
		return c.p.Release(c.ctx, c.app(), 0)
	}
	if n, err := strconv.Atoi(strings.TrimPrefix(ref, "v")); err == nil && n > 0 {
		return c.p.Release(c.ctx, c.app(), n)
	}
	all, err := c.p.Releases(c.ctx, c.app())
	for _, r := range all {
		if string(r.ID) == ref || idOf("release", string(r.AppID), strconv.Itoa(r.Version)) == ref {
			return r, nil
		}
	}
	if err == nil {
		err = stead.NotFound("release", ref)
	}
	return stead.Release{}, err
}

func (c *call) release() (any, error) {
	r, err := c.findRelease()
	if err != nil {
		return nil, err
	}
	return c.withOutput(r)
}

// withOutput adds the URL of what the release phase says, if there is one.
func (c *call) withOutput(r stead.Release) (object, error) {
	o := c.showRelease(r)
	if _, phase := r.Image.Processes[stead.ProcessRelease]; !phase {
		return o, nil
	}
	url, err := c.outputURL(printing{app: string(r.AppID), release: r.Version})
	o["output_stream_url"] = url
	return o, err
}

func (c *call) rollback() (any, error) {
	var in struct {
		Release string `json:"release"`
		Slug    string `json:"slug"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	version := 0
	if in.Release != "" {
		r, err := c.releaseNamed(in.Release)
		if err != nil {
			return nil, err
		}
		version = r.Version
	} else if in.Slug != "" {
		return nil, stead.Invalid("slug", "a release is not made of a slug here", "push, create a build, or give the release to roll back to")
	}
	r, err := c.p.Rollback(c.ctx, c.app(), version)
	if err != nil {
		return nil, err
	}
	o, err := c.withOutput(r)
	return c.created(o), err
}

// slug is what a build made: the image of its release.
func (c *call) slug() (any, error) {
	a, err := c.p.App(c.ctx, c.app())
	if err != nil {
		return nil, err
	}
	b, ok, err := c.buildOf(string(a.ID), stead.ID(c.params["slug"]))
	if err != nil || !ok {
		return nil, cmp.Or(err, stead.NotFound("slug", c.params["slug"]))
	}
	types := object{}
	for t, cmd := range b.Image.Processes {
		types[t] = commandLine(cmd)
	}
	at := b.CreatedAt
	if b.FinishedAt != nil {
		at = *b.FinishedAt
	}
	return object{"id": b.ID, "commit": orNull(b.Source.Commit), "commit_description": orNull(b.Source.Message), "checksum": orNull(b.Image.Digest),
		"size": b.Image.Size, "process_types": types, "buildpack_provided_description": orNull(b.Pack),
		"blob":  object{"method": "GET", "url": c.url + "/v2/apps/" + string(a.ID) + "/manifests/" + b.Image.Digest},
		"stack": object{"id": idOf("stack", stackName), "name": stackName}, "created_at": stamp(b.CreatedAt), "updated_at": stamp(at)}, nil
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}
