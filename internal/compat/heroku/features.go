package heroku

import (
	"github.com/steadpaas/stead"
)

func featureRoutes() []route {
	return []route{
		{Method: "GET", Path: "/apps/{app}/features", Title: "app feature: list", do: (*call).features},
		{Method: "GET", Path: "/apps/{app}/features/{feature}", Title: "app feature: info", do: (*call).feature},
		{Method: "PATCH", Path: "/apps/{app}/features/{feature}", Title: "app feature: update", do: (*call).updateFeature},
		{Method: "GET", Path: "/account/features", Title: "account feature: list", do: (*call).noneAtAll, none: true},
		{Method: "GET", Path: "/account/features/{feature}", Title: "account feature: info", do: (*call).noFeature, none: true},
		{Method: "PATCH", Path: "/account/features/{feature}", Title: "account feature: update", why: "there are no features of accounts"},
		{Method: "GET", Path: "/apps/{app}/buildpack-installations", Title: "buildpack: list", do: (*call).buildpacks},
		{Method: "PUT", Path: "/apps/{app}/buildpack-installations", Title: "buildpack: update", why: "the language is found from the source; a Dockerfile or the order of packs decides"},
	}
}

// fixture is something that Heroku lets be switched and that Stead always does.
type fixture struct{ name, title, text string }

var fixtures = []fixture{
	{"preboot", "Preboot", "New dynos are up before the old ones are stopped; no request is lost. Always on."},
	{"http-routing-2-dot-0", "Router 2.0", "HTTP/2 at the edge, kept connections to dynos. Always on."},
}

func showFeature(a stead.App) func(fixture) object {
	return func(f fixture) object {
		return object{"id": idOf("feature", f.name), "name": f.name, "display_name": f.title, "description": f.text, "enabled": true, "state": "general",
			"doc_url": "https://devcenter.heroku.com/articles/" + f.name, "feedback_email": "", "created_at": stamp(a.CreatedAt), "updated_at": stamp(a.CreatedAt)}
	}
}

func (c *call) features() (any, error) {
	a, err := c.p.App(c.ctx, c.app())
	if err != nil {
		return nil, err
	}
	return each(fixtures, showFeature(a)), nil
}

func (c *call) feature() (any, error) {
	a, err := c.p.App(c.ctx, c.app())
	if err != nil {
		return nil, err
	}
	for _, f := range fixtures {
		if ref := c.params["feature"]; f.name == ref || idOf("feature", f.name) == ref {
			return showFeature(a)(f), nil
		}
	}
	return c.noFeature()
}

func (c *call) noFeature() (any, error) { return nil, stead.NotFound("feature", c.params["feature"]) }

func (c *call) updateFeature() (any, error) {
	var in struct {
		Enabled bool `json:"enabled"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	f, err := c.feature()
	if err == nil && !in.Enabled {
		err = stead.Invalid("enabled", "this is how the platform works; it cannot be switched off", "leave it on")
	}
	return f, err
}

// packURL names what built an app, as Heroku's own buildpacks are named.
func packURL(pack string) string { return "stead/" + pack }

// buildpacks is what was found in the source of the last build.
func (c *call) buildpacks() (any, error) {
	all, err := c.p.Builds(c.ctx, c.app())
	if err != nil {
		return nil, err
	}
	for _, b := range all {
		if b.State == stead.BuildSucceeded && b.Pack != "" {
			return []object{{"ordinal": 0, "buildpack": object{"url": packURL(b.Pack), "name": packURL(b.Pack)}}}, nil
		}
	}
	return []object{}, nil
}
