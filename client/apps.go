package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/steadpaas/stead"
)

// Apps lists the apps of an org, a space, or ("", "") all that one can see.
func (c *Client) Apps(ctx context.Context, org, space string) ([]stead.App, error) {
	return items[stead.App](ctx, c, path("apps"), member(org, space, ""))
}

// CreateApp makes an app.
func (c *Client) CreateApp(ctx context.Context, n stead.NewApp) (stead.App, error) {
	return send[stead.App](ctx, c, http.MethodPost, path("apps"), n)
}

// App returns an app.
func (c *Client) App(ctx context.Context, app string) (stead.App, error) {
	return get[stead.App](ctx, c, path("apps", app), nil)
}

// AwaitApp returns the app as soon as it is routed or settled (the fields of
// stead.App), as what says, or as it is when limit (at most a minute) is over.
func (c *Client) AwaitApp(ctx context.Context, app, what string, limit time.Duration) (stead.App, error) {
	q := url.Values{"for": {what}, "limit": {strconv.Itoa(int(limit / time.Second))}}
	return get[stead.App](ctx, c, path("apps", app, "wait"), q)
}

// UpdateApp changes what is not nil in the patch.
func (c *Client) UpdateApp(ctx context.Context, app string, p stead.AppPatch) (stead.App, error) {
	return send[stead.App](ctx, c, http.MethodPatch, path("apps", app), p)
}

// DestroyApp removes an app and all that belongs to it.
func (c *Client) DestroyApp(ctx context.Context, app string) error {
	return remove(ctx, c, path("apps", app), nil)
}

// Config returns the app's environment variables, values included.
func (c *Client) Config(ctx context.Context, app string) (stead.Config, error) {
	return get[stead.Config](ctx, c, path("apps", app, "config"), nil)
}

// SetConfig sets and (nil value) removes variables, in one release.
func (c *Client) SetConfig(ctx context.Context, app string, change map[string]*string) (stead.Config, stead.Release, error) {
	out, err := send[stead.ConfigChange](ctx, c, http.MethodPatch, path("apps", app, "config"), change)
	return out.Config, out.Release, err
}

// Processes lists the app's process types.
func (c *Client) Processes(ctx context.Context, app string) ([]stead.Process, error) {
	return items[stead.Process](ctx, c, path("apps", app, "processes"), nil)
}

// Scale changes quantities and sizes, all or none, and returns all processes.
func (c *Client) Scale(ctx context.Context, app string, changes []stead.Scale) ([]stead.Process, error) {
	out, err := send[list[stead.Process]](ctx, c, http.MethodPatch, path("apps", app, "processes"),
		map[string][]stead.Scale{"changes": changes})
	return out.Items, err
}

// UpdateProcess changes what is not nil in the patch.
func (c *Client) UpdateProcess(ctx context.Context, app, process string, p stead.ProcessPatch) (stead.Process, error) {
	return send[stead.Process](ctx, c, http.MethodPatch, path("apps", app, "processes", process), p)
}

// Restart replaces instances without losing a request: of the whole app
// (target "") or of a process. It also starts what was stopped.
func (c *Client) Restart(ctx context.Context, app, target string) error {
	return c.target(ctx, path("apps", app, "restart"), target)
}

// Stop stops the instances of the app (target "") or of a process, and keeps
// their quantity.
func (c *Client) Stop(ctx context.Context, app, target string) error {
	return c.target(ctx, path("apps", app, "stop"), target)
}

func (c *Client) target(ctx context.Context, path, target string) error {
	_, err := send[struct{}](ctx, c, http.MethodPost, path, struct {
		Target string `json:"target,omitempty"`
	}{target})
	return err
}

// Instances lists what runs.
func (c *Client) Instances(ctx context.Context, app string) ([]stead.Instance, error) {
	return items[stead.Instance](ctx, c, path("apps", app, "instances"), nil)
}

// Domains lists the host names that the app answers for.
func (c *Client) Domains(ctx context.Context, app string) ([]stead.Domain, error) {
	return items[stead.Domain](ctx, c, path("apps", app, "domains"), nil)
}

// AddDomain adds a host name and routes it to web.
func (c *Client) AddDomain(ctx context.Context, app, host string) (stead.Domain, error) {
	return send[stead.Domain](ctx, c, http.MethodPost, path("apps", app, "domains"), map[string]string{"host": host})
}

// RemoveDomain removes a host name and its routes.
func (c *Client) RemoveDomain(ctx context.Context, app, host string) error {
	return remove(ctx, c, path("apps", app, "domains", host), nil)
}

// Routes lists the app's routes.
func (c *Client) Routes(ctx context.Context, app string) ([]stead.Route, error) {
	return items[stead.Route](ctx, c, path("apps", app, "routes"), nil)
}

// AddRoute sends the requests for a host, below a path, to a process.
func (c *Client) AddRoute(ctx context.Context, app string, n stead.NewRoute) (stead.Route, error) {
	return send[stead.Route](ctx, c, http.MethodPost, path("apps", app, "routes"), n)
}

// UpdateRoute changes what is not nil in the patch.
func (c *Client) UpdateRoute(ctx context.Context, app string, id stead.ID, p stead.RoutePatch) (stead.Route, error) {
	return send[stead.Route](ctx, c, http.MethodPatch, path("apps", app, "routes", string(id)), p)
}

// Pages returns the app's own pages.
func (c *Client) Pages(ctx context.Context, app string) (stead.Pages, error) {
	return get[stead.Pages](ctx, c, path("apps", app, "pages"), nil)
}

// SetPages replaces the app's own pages; an empty one is the router's.
func (c *Client) SetPages(ctx context.Context, app string, p stead.Pages) error {
	_, err := send[struct{}](ctx, c, http.MethodPut, path("apps", app, "pages"), p)
	return err
}

// RemoveRoute removes a route.
func (c *Client) RemoveRoute(ctx context.Context, app string, id stead.ID) error {
	return remove(ctx, c, path("apps", app, "routes", string(id)), url.Values{})
}
