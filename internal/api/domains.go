package api

import (
	"context"

	"github.com/steadpaas/stead"
)

func domains(s *server) {
	handleList(s, op("Domains", "GET", "apps/{app}/domains", "List host names"), func(ctx context.Context, in *AppRef) ([]stead.Domain, error) {
		return s.p.Domains(ctx, in.App)
	})
	type newDomain struct {
		AppRef
		Body struct {
			Host string `json:"host" maxLength:"300"`
		}
	}
	handle(s, op("AddDomain", "POST", "apps/{app}/domains", "Add a host name and route it to web"), func(ctx context.Context, in *newDomain) (stead.Domain, error) {
		return s.p.AddDomain(ctx, in.App, in.Body.Host)
	})
	type domain struct {
		AppRef
		Host string `path:"host" maxLength:"300"`
	}
	act(s, op("RemoveDomain", "DELETE", "apps/{app}/domains/{host}", "Remove a host name and its routes"), func(ctx context.Context, in *domain) error {
		return s.p.RemoveDomain(ctx, in.App, in.Host)
	})
}

func routes(s *server) {
	handleList(s, op("Routes", "GET", "apps/{app}/routes", "List routes"), func(ctx context.Context, in *AppRef) ([]stead.Route, error) {
		return s.p.Routes(ctx, in.App)
	})
	type newRoute struct {
		AppRef
		Body stead.NewRoute
	}
	handle(s, op("AddRoute", "POST", "apps/{app}/routes", "Send a host's requests below a path to a process"), func(ctx context.Context, in *newRoute) (stead.Route, error) {
		r := stead.Route{Host: in.Body.Host, Path: in.Body.Path, Process: in.Body.Process, StripPrefix: in.Body.StripPrefix, Policy: in.Body.Policy}
		if r.Path == "" {
			r.Path = "/"
		}
		if r.Process == "" {
			r.Process = stead.ProcessWeb
		}
		return s.p.AddRoute(ctx, in.App, r)
	})
	type route struct {
		AppRef
		Route stead.ID `path:"route" maxLength:"100"`
	}
	type patch struct {
		AppRef
		Route stead.ID `path:"route" maxLength:"100"`
		Body  stead.RoutePatch
	}
	handle(s, op("UpdateRoute", "PATCH", "apps/{app}/routes/{route}", "Change a route's process or policy"), func(ctx context.Context, in *patch) (stead.Route, error) {
		return s.p.UpdateRoute(ctx, in.App, in.Route, in.Body)
	})
	handle(s, op("Pages", "GET", "apps/{app}/pages", "Get the app's own pages"), func(ctx context.Context, in *AppRef) (stead.Pages, error) {
		return s.p.Pages(ctx, in.App)
	})
	type pages struct {
		AppRef
		Body stead.Pages
	}
	act(s, op("SetPages", "PUT", "apps/{app}/pages", "Replace the app's own pages"), func(ctx context.Context, in *pages) error {
		return s.p.SetPages(ctx, in.App, in.Body)
	})
	act(s, op("RemoveRoute", "DELETE", "apps/{app}/routes/{route}", "Remove a route"), func(ctx context.Context, in *route) error {
		return s.p.RemoveRoute(ctx, in.App, in.Route)
	})
}
