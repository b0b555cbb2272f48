package heroku

import (
	"time"

	"github.com/steadpaas/stead"
)

func placeRoutes() []route {
	return []route{
		{Method: "GET", Path: "/regions", Title: "region: list", do: (*call).regions},
		{Method: "GET", Path: "/regions/{region}", Title: "region: info", do: (*call).region},
		{Method: "GET", Path: "/stacks", Title: "stack: list", do: (*call).stacks},
		{Method: "GET", Path: "/stacks/{stack}", Title: "stack: info", do: (*call).stack},
		{Method: "GET", Path: "/apps/{app}/available-stacks", Title: "stack: list for an app", do: (*call).appStacks},
		{Method: "GET", Path: "/generations", Title: "generation: list", do: (*call).generations},
		{Method: "GET", Path: "/generations/{generation}", Title: "generation: info", do: (*call).generationInfo},
		{Method: "GET", Path: "/teams/{team}/available-generations", Title: "generation: list by team", do: (*call).teamGenerations},
	}
}

// epoch is the time of what was always there.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func showRegion(name string) object {
	return object{"id": idOf("region", name), "name": name, "country": "", "locale": "", "description": "the region " + name,
		"private_capable": true, "provider": object{"name": "stead", "region": name}, "created_at": stamp(epoch), "updated_at": stamp(epoch)}
}

func (c *call) regions() (any, error) { return each(c.p.Regions(), showRegion), nil }

func (c *call) region() (any, error) {
	for _, r := range c.p.Regions() {
		if ref := c.params["region"]; r == ref || idOf("region", r) == ref {
			return showRegion(r), nil
		}
	}
	return nil, stead.NotFound("region", c.params["region"])
}

// stackName is the one stack that packs build on; what a Dockerfile builds on
// is its own affair.
const stackName = "debian-12"

func showStack(name string) object {
	return object{"id": idOf("stack", name), "name": name, "state": "public", "default": true, "created_at": stamp(epoch), "updated_at": stamp(epoch)}
}

func checkStack(name string) error {
	switch name {
	case "", stackName, "container", idOf("stack", stackName):
		return nil
	}
	return stead.Invalid("stack", "there is no stack "+quote(name), "use "+stackName+", or container with a Dockerfile; either is found from the source")
}

func (c *call) stacks() (any, error) { return []object{showStack(stackName)}, nil }

func (c *call) appStacks() (any, error) {
	if _, err := c.p.App(c.ctx, c.app()); err != nil {
		return nil, err
	}
	return c.stacks()
}

func (c *call) stack() (any, error) {
	if ref := c.params["stack"]; ref != stackName && ref != idOf("stack", stackName) {
		return nil, stead.NotFound("stack", ref)
	}
	return showStack(stackName), nil
}

// generation is Heroku's word for how a platform names its dynos: web.1.
func generation() object { return object{"id": idOf("generation", "cedar"), "name": "cedar"} }

func showGeneration() object {
	o := generation()
	o["created_at"], o["updated_at"] = stamp(epoch), stamp(epoch)
	return o
}

func (c *call) generations() (any, error) { return []object{showGeneration()}, nil }

func (c *call) generationInfo() (any, error) {
	o := showGeneration()
	if ref := c.params["generation"]; ref != o["name"] && ref != o["id"] {
		return nil, stead.NotFound("generation", ref)
	}
	return o, nil
}

func (c *call) teamGenerations() (any, error) {
	if _, err := c.team(); err != nil {
		return nil, err
	}
	return c.generations()
}
