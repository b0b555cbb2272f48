package heroku

import (
	"github.com/steadpaas/stead"
)

func drainRoutes() []route {
	const d, t = "/apps/{app}/log-drains", "/telemetry-drains"
	return []route{
		{Method: "GET", Path: d, Title: "log drain: list", do: (*call).drains},
		{Method: "POST", Path: d, Title: "log drain: create", do: (*call).addDrain},
		{Method: "GET", Path: d + "/{drain}", Title: "log drain: info", do: (*call).drain},
		{Method: "DELETE", Path: d + "/{drain}", Title: "log drain: delete", do: (*call).removeDrain},
		empty("/addons/{addon}/log-drains", "log drain: list by add-on", missing("add_on", "addon")),
		lack("PUT", "/addons/{addon}/log-drains/{drain}", "log drain: update", whyServices),
		lack("POST", t, "telemetry drain: create", whyTelemetry), empty("/apps/{app}"+t, "telemetry drain: list by app", (*call).noneOfApp),
		empty("/spaces/{space}"+t, "telemetry drain: list by space", (*call).noneOfSpace), empty(t+"/{drain}", "telemetry drain: info", missing("drain", "drain")),
		lack("PATCH", t+"/{drain}", "telemetry drain: update", whyTelemetry), lack("DELETE", t+"/{drain}", "telemetry drain: delete", whyTelemetry),
	}
}

func showDrain(a stead.App) func(stead.Drain) object {
	return func(d stead.Drain) object {
		return object{"id": d.ID, "url": d.URL, "token": d.Token, "addon": nil, "app": object{"id": a.ID, "name": a.Name},
			"created_at": stamp(d.CreatedAt), "updated_at": stamp(d.CreatedAt)}
	}
}

func (c *call) appDrains() (stead.App, []stead.Drain, error) {
	a, err := c.p.App(c.ctx, c.app())
	if err != nil {
		return a, nil, err
	}
	all, err := c.p.Drains(c.ctx, string(a.ID))
	return a, all, err
}

func (c *call) drains() (any, error) {
	a, all, err := c.appDrains()
	return each(all, showDrain(a)), err
}

func (c *call) drain() (any, error) {
	a, all, err := c.appDrains()
	for _, d := range all {
		if ref := c.params["drain"]; string(d.ID) == ref || d.Token == ref || d.URL == ref {
			return showDrain(a)(d), err
		}
	}
	if err == nil {
		err = stead.NotFound("drain", c.params["drain"])
	}
	return nil, err
}

func (c *call) addDrain() (any, error) {
	var in struct {
		URL string `json:"url"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	a, err := c.p.App(c.ctx, c.app())
	if err != nil {
		return nil, err
	}
	d, err := c.p.AddDrain(c.ctx, string(a.ID), stead.NewDrain{URL: in.URL})
	return c.created(showDrain(a)(d)), err
}

// removeDrain names the drain as it was given: with its password, perhaps.
func (c *call) removeDrain() (any, error) {
	ref := c.params["drain"]
	o, err := c.drain()
	if err == nil {
		ref = string(o.(object)["id"].(stead.ID))
	} else if stead.KindOf(err) != stead.KindNotFound {
		return nil, err
	}
	if err := c.p.RemoveDrain(c.ctx, c.app(), ref); err != nil {
		return nil, err
	}
	if o == nil {
		return object{"url": ref}, nil
	}
	return o, nil
}
