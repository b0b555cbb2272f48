package heroku

import (
	"encoding/json"
	"fmt"

	"github.com/steadpaas/stead"
)

func configRoutes() []route {
	return []route{
		{Method: "GET", Path: "/apps/{app}/config-vars", Title: "config vars: info", do: (*call).config},
		{Method: "PATCH", Path: "/apps/{app}/config-vars", Title: "config vars: update", do: (*call).setConfig},
		{Method: "GET", Path: "/apps/{app}/releases/{release}/config-vars", Title: "config vars: info for a release", do: (*call).releaseConfig},
	}
}

func (c *call) config() (any, error) {
	vars, err := c.p.Config(c.ctx, c.app())
	if vars == nil {
		vars = stead.Config{}
	}
	return vars, err
}

// setConfig sets what has a value and removes what is null; each change is one
// release.
func (c *call) setConfig() (any, error) {
	var in map[string]any
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	change := map[string]*string{}
	for k, v := range in {
		switch v := v.(type) {
		case nil:
			change[k] = nil
		case string:
			change[k] = &v
		case float64, bool:
			text, err := json.Marshal(v)
			if err != nil {
				return nil, err
			}
			change[k] = new(string(text))
		default:
			return nil, stead.Invalid(k, fmt.Sprintf("the value of %s is neither a text nor null", quote(k)), "give a text, or null to remove it")
		}
	}
	vars, _, err := c.p.SetConfig(c.ctx, c.app(), change)
	return vars, err
}

func (c *call) releaseConfig() (any, error) {
	r, err := c.findRelease()
	if err != nil {
		return nil, err
	}
	return c.p.ReleaseConfig(c.ctx, c.app(), r.Version)
}
